//! What expressions refer to, so that whoever evaluates them need not copy everything that there is.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Expression, Step};

/// What a number of expressions refer to, by the first name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(BTreeMap<String, Part>);

/// How much of a value is referred to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    All,
    /// These fields of it.
    Fields(BTreeMap<String, Self>),
}

impl Names {
    /// Adds the expressions in the texts of a value. One that cannot be read refers to nothing: evaluating it says why.
    pub fn add(&mut self, value: &Value) {
        match value {
            Value::String(text) if text.contains("${{") => self.add_expression(Expression::parse(text).ok()),
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Object(map) => map.values().for_each(|value| self.add(value)),
            _ => {}
        }
    }

    /// Adds a condition, which needs no `${{ }}` around it.
    pub fn add_condition(&mut self, text: &str) {
        self.add_expression(Expression::parse_condition(text).ok());
    }

    fn add_expression(&mut self, expression: Option<Expression>) {
        for reference in expression.iter().flat_map(Expression::references) {
            self.0.entry(reference.root.clone()).or_insert_with(Part::nothing).add(&reference.path);
        }
    }

    /// How much of the value with this first name is referred to; nothing = none of it.
    #[must_use]
    pub fn part(&self, root: &str) -> Option<&Part> {
        self.0.get(root)
    }

    /// What is referred to of the values in `scope`, by their first names.
    #[must_use]
    pub fn seen_in(&self, scope: &Map<String, Value>) -> Map<String, Value> {
        self.0.iter().filter_map(|(root, part)| Some((root.clone(), part.of(scope.get(root)?)))).collect()
    }
}

impl Part {
    const fn nothing() -> Self {
        Self::Fields(BTreeMap::new())
    }

    fn add(&mut self, path: &[Step]) {
        match (&mut *self, path.split_first()) {
            (Self::All, _) => {}
            (Self::Fields(fields), Some((Step::Name(name), rest))) => fields.entry(name.clone()).or_insert_with(Self::nothing).add(rest),
            // An item of a list has its number only among the others.
            (Self::Fields(_), None | Some((Step::Index(_), _))) => *self = Self::All,
        }
    }

    /// How much of a field of it is referred to; nothing = none of it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::All => Some(self),
            Self::Fields(fields) => fields.get(name),
        }
    }

    /// That much of a value; all of one that has no fields.
    #[must_use]
    pub fn of(&self, value: &Value) -> Value {
        match (self, value) {
            (Self::Fields(fields), Value::Object(map)) => {
                Value::Object(fields.iter().filter_map(|(name, part)| Some((name.clone(), part.of(map.get(name)?)))).collect())
            }
            _ => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::expression::{is_true, resolve};

    #[test]
    fn an_expression_comes_to_the_same_in_what_it_refers_to_as_in_everything() {
        let scope = json!({
            "env": { "aliyun": { "region": "cn-hangzhou" } },
            "vars": { "zone": "a.example.", "hosts": ["h1", "h2"], "deep": { "one": { "x": 1 }, "two": { "x": 2 } } },
            "steps": { "start-standby": { "output": { "ids": ["i-1", "i-2"], "count": 2 } }, "other": { "output": { "big": [1, 2, 3] } } },
            "item": { "name": "one", "host": "h2" },
        });
        let texts = [
            "${{ item.host }}",
            "${{ vars.deep[item.name].x }}",
            "${{ vars.hosts[1] }}-${{ vars.hosts | length }}",
            "${{ steps['start-standby'].output.ids[0] }} of ${{ steps.start-standby.output.count }}",
            "${{ steps.start-standby.output.ids[1:] }}",
            "${{ steps.gone.output.ids }}",
            "${{ steps.other.output.small }}",
            "${{ vars.nothing | default('x') }}",
            "${{ vars.zone.too.far }}",
            "${{ parameters.service }}",
            "${{ steps }}",
            "${{ vars.zone",
            "plain",
        ];
        for text in texts {
            let value = json!({ "a": [text] });
            let mut names = Names::default();
            names.add(&value);
            let seen = Value::Object(names.seen_in(scope.as_object().unwrap()));
            let said = |scope: &Value| resolve(&value, scope).map_err(|error| error.to_string());
            assert_eq!(said(&seen), said(&scope), "{text} in {seen}");
        }
        let mut names = Names::default();
        names.add_condition("steps.other.output.big[2] == 3 and item.name is defined");
        let seen = Value::Object(names.seen_in(scope.as_object().unwrap()));
        assert_eq!(seen, json!({ "steps": { "other": { "output": { "big": [1, 2, 3] } } }, "item": { "name": "one" } }));
        assert!(is_true("steps.other.output.big[2] == 3 and item.name is defined", &seen).unwrap());
    }
}
