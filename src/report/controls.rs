//! The controls of compliance frameworks that a report may support, and how far this one does.

use super::fields::Field;
use crate::model::text::Lang;

/// What each control wants; the first lines of the file say what the columns are.
pub(super) const TABLE: &str = include_str!("controls.tsv");

/// Kinds of exercise from the weakest to the strongest.
const EXERCISES: [&str; 8] = ["tabletop", "walkthrough", "dry_run", "simulated", "component", "parallel", "live_partial", "live_full"];

/// Prefixes that people write for those of the table.
const ALIASES: [(&str, &str); 9] = [
    ("iso-22301", "iso22301"),
    ("iso-27001", "iso27001"),
    ("mlps-2.0", "mlps"),
    ("pci-dss", "pci"),
    ("nist-800-34", "n34"),
    ("nist-800-53", "n53"),
    ("nist-800-84", "n84"),
    ("gbt-38645", "gbt38645"),
    ("aws-wa", "aws"),
];

/// One control of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Control {
    pub(super) framework: &'static str,
    pub(super) clause: &'static str,
    /// The weakest exercise that counts, or `not_covered`.
    pub(super) exercise: &'static str,
    /// Report fields it asks for.
    fields: &'static str,
    pub(super) verified: bool,
    en: &'static str,
    zh: &'static str,
}

impl Control {
    pub(super) const fn title(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::Zh => self.zh,
        }
    }

    /// The report fields it asks for.
    pub(super) fn fields(&self) -> impl Iterator<Item = Field> + use<> {
        self.fields.split(',').filter_map(Field::named)
    }

    /// Whether an exercise of this kind is enough. Dry runs and simulations never are where a functional test is asked for.
    pub(super) fn accepts(&self, exercise: &str) -> bool {
        let rank = |name: &str| EXERCISES.iter().position(|known| *known == name);
        rank(self.exercise).zip(rank(exercise)).is_some_and(|(asked, was)| was >= asked)
    }
}

/// The control that `reference` names, such as `iso-22301:8.5` or `mlps-2.0:8.1.10.13`.
pub(super) fn find(reference: &str) -> Option<Control> {
    let (framework, clause) = reference.trim().split_once(':')?;
    let framework = framework.trim().to_ascii_lowercase();
    let framework = ALIASES.iter().find(|(alias, _)| *alias == framework).map_or(framework.as_str(), |(_, prefix)| prefix);
    let wanted = format!("{framework}-{}", clause.trim().to_ascii_lowercase().replace(['(', ')'], "."));
    let wanted = wanted.trim_end_matches('.').replace("..", ".");
    rows().find(|(id, _)| id.eq_ignore_ascii_case(&wanted)).map(|(_, control)| control)
}

fn rows() -> impl Iterator<Item = (&'static str, Control)> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut cells = line.split('\t');
        let mut next = || cells.next();
        let id = next()?;
        let (framework, clause, exercise, fields, confidence, en, zh) = (next()?, next()?, next()?, next()?, next()?, next()?, next()?);
        Some((id, Control { framework, clause, exercise, fields, verified: confidence != "unverified", en, zh }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_whole() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!((rows().count(), lines), (104, 104));
        for (id, control) in rows() {
            assert!(EXERCISES.contains(&control.exercise) || control.exercise == "not_covered", "{id}");
            assert!(!control.en.is_empty() && !control.zh.is_empty(), "{id}");
            let named = control.fields.split(',').filter(|field| !field.is_empty()).count();
            assert_eq!(control.fields().count(), named, "{id} asks for a field that there is not");
        }
    }

    #[test]
    fn references_are_found_as_people_write_them() {
        for (reference, clause) in [
            ("iso-22301:8.5", "8.5"),
            ("soc2:A1.3", "A1.3"),
            ("mlps-2.0:8.1.10.13", "8.1.10.13"),
            ("dora:26", "Art. 26(1), (2), (6)"),
            ("nist-800-53:CP-4(2)", "CP-4(2)"),
        ] {
            assert_eq!(find(reference).map(|control| control.clause), Some(clause), "{reference}");
        }
        assert_eq!(find("nothing"), None);
        assert_eq!(find("iso-22301:99"), None);
    }

    #[test]
    fn a_simulation_is_no_functional_test() {
        assert!(!find("soc2:A1.3").unwrap().accepts("simulated"));
        assert!(find("iso-22301:8.5").unwrap().accepts("simulated"));
        assert!(find("soc2:A1.3").unwrap().accepts("live_full"));
        assert!(!find("dora:26").unwrap().accepts("live_full"));
    }
}
