//! Which permission a vendor operation needs, in the words of IAM (AWS) and RAM (Alibaba Cloud). Most are called as the operation is, some are not; the table
//! `permissions.tsv` names the vendor's page beside each.

use serde::Serialize;

const FILE: &str = include_str!("permissions.tsv");

/// A permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// What a policy calls it, such as `s3:ListBucket`.
    pub word: &'static str,
    /// The vendor's page that says so; absent = none was found, and the word is the operation's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'static str>,
}

/// Every operation of the table, with its permission.
fn table() -> impl Iterator<Item = (&'static str, Permission)> {
    FILE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut columns = line.split('\t');
        let (operation, word, source) = (columns.next()?, columns.next()?, columns.next()?);
        Some((operation, Permission { word, source: Some(source).filter(|source| *source != "-") }))
    })
}

/// The permission that an operation needs; `None` where the table does not have the operation.
#[must_use]
pub fn permission(operation: &str) -> Option<Permission> {
    table().find(|(of, _)| *of == operation).map(|(_, permission)| permission)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalogue::{actions, probes};

    #[test]
    fn every_operation_that_a_word_states_has_its_permission_and_no_other_has() {
        let of_actions = actions().iter().flat_map(|row| row.calls.all());
        let stated: BTreeSet<&str> = of_actions.chain(probes().iter().flat_map(|row| row.calls).copied()).collect();
        let known: Vec<&str> = table().map(|(operation, _)| operation).collect();
        assert!(known.is_sorted(), "the table is in order");
        assert_eq!(known.into_iter().collect::<BTreeSet<_>>(), stated);
    }

    #[test]
    fn a_permission_that_is_not_called_as_its_operation_has_a_page_of_the_vendors() {
        for (operation, Permission { word, source }) in table() {
            let of_aws = ["cloudwatch:", "ec2:", "route53:", "s3:"].iter().any(|service| operation.starts_with(service));
            let host = if of_aws { "https://docs.aws.amazon.com/" } else { "https://www.alibabacloud.com/help/" };
            assert!(source.is_none_or(|page| page.starts_with(host)), "{operation}: {source:?}");
            assert!(source.is_some() || word == operation && !of_aws, "{operation} needs {word}, and nobody says so");
        }
        assert_eq!(permission("s3:ListObjectsV2").unwrap().word, "s3:ListBucket");
        assert_eq!(permission("x:Read"), None);
    }
}
