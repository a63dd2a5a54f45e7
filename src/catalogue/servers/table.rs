//! The name of a table.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// The name of a table, perhaps with that of its schema: letters, digits and `_`, so that it means nothing else in a query.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub(crate) struct Table(#[schemars(pattern(r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$"))] String);

impl Table {
    /// Schema, if it is named, and table.
    pub(crate) fn parts(&self) -> (Option<&str>, &str) {
        self.0.split_once('.').map_or((None, &self.0), |(schema, table)| (Some(schema), table))
    }
}

impl TryFrom<String> for Table {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let is_name = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let good = name.split('.').count() <= 2 && name.split('.').all(is_name);
        if good { Ok(Self(name)) } else { Err(format!("`{name}` is not the name of a table, such as orders or shop.orders")) }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_nothing_else() {
        for (name, good) in [
            ("lifeboat_canary", true),
            ("ops.canary2", true),
            ("a.b.c", false),
            ("x; drop table y", false),
            ("", false),
            ("2x", false),
            ("a.", false),
        ] {
            assert_eq!(Table::try_from(name.to_owned()).is_ok(), good, "{name}");
        }
        let parts = |name: &str| {
            Table::try_from(name.to_owned()).map(|table| {
                let (schema, table) = table.parts();
                (schema.map(str::to_owned), table.to_owned())
            })
        };
        assert_eq!(parts("shop.orders"), Ok((Some("shop".to_owned()), "orders".to_owned())));
        assert_eq!(parts("orders"), Ok((None, "orders".to_owned())));
    }
}
