//! The differences between two sides that should hold the same data, and the sentence that says them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a comparison found, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// In the source only.
    pub(crate) missing: Vec<String>,
    /// In the mirror only.
    pub(crate) extra: Vec<String>,
    /// On both sides, with different contents.
    pub(crate) different: Vec<String>,
    /// In the mirror once more than in the source.
    pub(crate) doubled: Vec<String>,
}

impl Difference {
    /// Whether both sides hold the same.
    pub(crate) fn is_none(&self) -> bool {
        [&self.missing, &self.extra, &self.different, &self.doubled].into_iter().all(Vec::is_empty)
    }

    /// In one line, with the first name of each kind.
    pub(crate) fn line(&self, source: u64, mirror: u64) -> String {
        let mut line = format!("{source} in the source, {mirror} in the mirror");
        let kinds = [("missing", &self.missing), ("too many", &self.extra), ("different", &self.different), ("doubled", &self.doubled)];
        for (what, names) in kinds {
            if let Some(first) = names.first() {
                let more = if names.len() > 1 { ", …" } else { "" };
                line.push_str(&format!("; {} {what} ({first}{more})", names.len()));
            }
        }
        line
    }
}

/// What was compared and how it came out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Compared {
    /// How many the source holds.
    source: u64,
    /// How many the mirror holds.
    mirror: u64,
    /// In the source only.
    missing: u64,
    /// In the mirror only.
    extra: u64,
    /// With different contents.
    different: u64,
    /// In the mirror twice.
    doubled: u64,
}

impl Compared {
    /// The counts of `found`.
    pub(crate) fn new(source: u64, mirror: u64, found: &Difference) -> Self {
        let count = |names: &[String]| names.len() as u64;
        let Difference { missing, extra, different, doubled } = found;
        Self { source, mirror, missing: count(missing), extra: count(extra), different: count(different), doubled: count(doubled) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_first_of_each_kind() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let found = Difference { missing: names(&["7", "9"]), doubled: names(&["3"]), ..Difference::default() };
        assert_eq!(found.line(5, 4), "5 in the source, 4 in the mirror; 2 missing (7, …); 1 doubled (3)");
        assert_eq!(Difference::default().line(0, 0), "0 in the source, 0 in the mirror");
        assert_eq!(Compared::new(5, 4, &found), Compared { source: 5, mirror: 4, missing: 2, doubled: 1, ..Compared::default() });
    }
}
