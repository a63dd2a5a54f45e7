//! Lists that come in pages: whoever follows them must come to an end, whatever the other side answers.

use std::collections::BTreeSet;

use super::{Cloud, CloudError, Kind};

/// More pages than any list has that Lifeboat reads.
const MOST: usize = 10_000;

/// The way through the pages of one list.
#[derive(Debug)]
pub struct Pages {
    cloud: Cloud,
    operation: &'static str,
    seen: BTreeSet<String>,
}

impl Pages {
    /// Before the first page of the list that `operation` gives.
    #[must_use]
    pub const fn of(cloud: Cloud, operation: &'static str) -> Self {
        Self { cloud, operation, seen: BTreeSet::new() }
    }

    /// Goes on to the page that is told by `mark`: the token or the place where it begins, or what came first in the page before it.
    ///
    /// # Errors
    /// [`Kind::Malformed`] when that page was asked for before, so that the list would never end, or when there are too many.
    pub fn turn(&mut self, mark: &str) -> Result<(), CloudError> {
        let malformed = |what: &str| Err(CloudError::new(self.cloud, self.operation, Kind::Malformed, what));
        if self.seen.len() >= MOST {
            return malformed("the list has too many pages");
        }
        if !self.seen.insert(mark.to_owned()) {
            return malformed("the pages of the list lead in a circle");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_leads_in_a_circle_or_nowhere_is_left() {
        let mut pages = Pages::of(Cloud::Aliyun, "vpc:DescribeVSwitches");
        pages.turn("a").unwrap();
        pages.turn("b").unwrap();
        let error = pages.turn("a").unwrap_err();
        assert_eq!((error.kind, error.ambiguous), (Kind::Malformed, false));
        let endless = (0..).map(|page| pages.turn(&page.to_string())).find_map(Result::err).unwrap();
        assert!(endless.message.contains("too many"), "{endless}");
    }
}
