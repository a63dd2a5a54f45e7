//! `aws.ec2.share-image`.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::catalogue::actions::gone;
use crate::catalogue::until::until;
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, PlannedCall, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::ports::Cloud;
use crate::world::World;
use crate::model::target::{Change, Target, TargetKind};

/// Lets other accounts launch a machine image. Undo takes it from those that could not before, and from no others.
///
/// Encrypted snapshots need their key shared as well.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShareImage {
    /// The image, `ami-…`.
    image: String,
    /// Account numbers, twelve digits each, with or without the dashes that the console puts between them.
    #[serde(deserialize_with = "accounts")]
    accounts: BTreeSet<String>,
}

/// Account numbers in the one form in which EC2 keeps them.
fn accounts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    let one = |written: String| {
        let kept: String = written.trim().chars().filter(|letter| *letter != '-').collect();
        let is_account = kept.len() == 12 && kept.bytes().all(|byte| byte.is_ascii_digit());
        if is_account { Ok(kept) } else { Err(de::Error::custom(format!("`{written}` is not a twelve-digit account number"))) }
    };
    Vec::<String>::deserialize(deserializer)?.into_iter().map(one).collect()
}

/// What was shared.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// The image.
    image: String,
    /// The accounts that can launch it only since this step.
    added: BTreeSet<String>,
}

/// Those of the accounts that could launch the image before.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Before {
    had: BTreeSet<String>,
}

const READ: &str = "ec2:DescribeImageAttribute";
const WRITE: &str = "ec2:ModifyImageAttribute";

impl Action<World> for ShareImage {
    const KIND: &'static str = "aws.ec2.share-image";
    const EXAMPLE: &'static str = r#"{ image: "${{ vars.image }}", accounts: ["${{ vars.standby_account }}"] }"#;
    const ACTS: Acts = Acts::In(Cloud::Aws);
    const CALLS: Operations = Operations {
        plan: &["ec2:DescribeImageAttribute"],
        apply: &["ec2:DescribeImageAttribute", "ec2:ModifyImageAttribute"],
        undo: &["ec2:DescribeImageAttribute", "ec2:ModifyImageAttribute"],
        marks: &[],
    };
    type Before = Before;
    type Output = Output;

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<Before>, ActionError> {
        if self.accounts.is_empty() {
            return Err(ActionError::Parameters("`accounts` is empty".to_owned()));
        }
        let permitted = cx.foreseen.read(&self.foreseen(), cx.world.aws()?.launch_permissions(&self.image).await?);
        let had: BTreeSet<String> = self.accounts.intersection(&permitted).cloned().collect();
        let added = &self.accounts - &had;
        cx.foreseen.write(&self.foreseen(), &(&permitted | &self.accounts));
        let added = list(added);
        let change = (!added.is_empty()).then(|| Change::adding(&added));
        let (mut calls, mut undo) = (vec![PlannedCall::read(READ, &self.image)], Vec::new());
        if !added.is_empty() {
            calls.push(PlannedCall::write(WRITE, format!("{} + {added}", self.image)));
            undo = vec![PlannedCall::read(READ, &self.image), PlannedCall::write(WRITE, format!("{} − {added}", self.image))];
        }
        let target = Target::at(&cx.world.location(Cloud::Aws), TargetKind::Image, &self.image).changing(change);
        Ok(Planned::new(Before { had }, vec![target], calls).undone_by(undo))
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &Before) -> Result<Applied<Output>, ActionError> {
        let added = &self.accounts - &before.had;
        let changed = self.bring(cx, &added, true).await?;
        let already = !changed && added.is_empty();
        Ok(Applied { output: Output { image: self.image.clone(), added }, already })
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &Before) -> Result<Undone, ActionError> {
        let added = &self.accounts - &before.had;
        let expected = || format!("shared with {} or not", list(added.clone()));
        let changed = self.bring(cx, &added, false).await.map_err(|error| match error {
            ActionError::Cloud(error) => gone(error, &format!("image {}", self.image), expected(), "no such image"),
            other => other,
        })?;
        Ok(if changed { Undone::Restored } else { Undone::Already })
    }
}

impl ShareImage {
    /// Under which a dry run remembers who may launch it.
    fn foreseen(&self) -> String {
        format!("image {}", self.image)
    }

    /// Gives or takes the permission of `accounts` where it is not so yet, and waits until it reads so. Gives back whether anything was changed.
    async fn bring(&self, cx: &Cx<'_, World>, accounts: &BTreeSet<String>, given: bool) -> Result<bool, ActionError> {
        let aws = cx.world.aws()?;
        let permitted = aws.launch_permissions(&self.image).await?;
        let left: BTreeSet<String> = accounts.iter().filter(|account| permitted.contains(*account) != given).cloned().collect();
        if left.is_empty() {
            (cx.accepted)();
            return Ok(false);
        }
        let none = BTreeSet::new();
        let (add, remove) = if given { (&left, &none) } else { (&none, &left) };
        aws.modify_launch_permissions(&self.image, add, remove).await?;
        (cx.accepted)();
        let left = &left;
        until(|| async move {
            let permitted = aws.launch_permissions(&self.image).await?;
            Ok(left.iter().all(|account| permitted.contains(account) == given).then_some(()))
        })
        .await?;
        Ok(true)
    }
}

fn list(accounts: BTreeSet<String>) -> String {
    accounts.into_iter().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_account_is_the_same_however_it_is_written() {
        let read = |accounts: serde_json::Value| serde_json::from_value::<ShareImage>(json!({ "image": "ami-1", "accounts": accounts }));
        assert_eq!(read(json!(["4444-5555-6666", "777788889999", "444455556666"])).unwrap().accounts, ["444455556666", "777788889999"].map(str::to_owned).into());
        for wrong in ["12345", "44445555666x", "all", ""] {
            assert!(read(json!([wrong])).unwrap_err().to_string().contains("twelve-digit"), "{wrong}");
        }
    }
}
