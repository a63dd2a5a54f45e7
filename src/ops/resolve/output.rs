//! What a step gives to later ones, as far as its action's schema tells before anything has run.

use serde_json::{Map, Value, json};

use crate::model::diagnostic::suggest;
use crate::model::expression::Step;
use crate::ops::words::follow;

/// The output of a step.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    /// JSON Schema; `null` where nothing is known.
    schema: Value,
}

impl Output {
    /// Of a step that runs once.
    pub(super) fn once(schema: Value) -> Self {
        Self { schema }
    }

    /// Of a step with `for_each`: the outputs of its items.
    pub(super) fn each(mut schema: Value) -> Self {
        let definitions = schema.as_object_mut().and_then(|object| object.remove("$defs")).unwrap_or_default();
        Self { schema: json!({ "type": "object", "properties": { "items": { "type": "array", "items": schema } }, "$defs": definitions }) }
    }

    /// Whether `path` leads into the output.
    ///
    /// # Errors
    /// What is wrong, to go after the name of the output, and a hint.
    pub(super) fn check(&self, path: &[Step]) -> Result<(), (String, Option<String>)> {
        self.find(path).map(|_| ())
    }

    /// Whether the schema says of which type the value at `path` is.
    pub(super) fn is_typed(&self, path: &[Step]) -> bool {
        self.find(path).ok().flatten().is_some_and(|schema| schema.get("type").is_some_and(Value::is_string))
    }

    /// A value of the schema's shape. Lists have one element, so that expressions may use the first.
    pub(super) fn example(&self) -> Value {
        self.example_of(&self.schema, 8)
    }

    /// The schema of the value at `path`; `None` where nothing is known of it.
    fn find(&self, path: &[Step]) -> Result<Option<&Value>, (String, Option<String>)> {
        let mut here = &self.schema;
        for (depth, step) in path.iter().enumerate() {
            here = follow(&self.schema, here);
            let walked = || path[..depth].iter().map(Step::to_string).collect::<String>();
            let of = || if depth == 0 { String::new() } else { format!(", in `{}`,", walked().trim_start_matches('.')) };
            match step {
                Step::Name(name) => {
                    let known = here.get("properties").and_then(Value::as_object);
                    if let Some(next) = known.and_then(|known| known.get(name)) {
                        here = next;
                    } else if let Some(any) = here.get("additionalProperties").filter(|any| any.is_object()) {
                        here = any;
                    } else if let Some(known) = known {
                        return Err((format!("has{} no `{name}`", of()), suggest(name, known.keys().map(String::as_str), "it has")));
                    } else if matches!(here.get("type").and_then(Value::as_str), Some("string" | "integer" | "number" | "boolean" | "array" | "null"))
                    {
                        let hint = if here["type"] == "array" {
                            format!("it is a list: write `[0]` before `.{name}`")
                        } else {
                            format!("leave `.{name}` out")
                        };
                        return Err((format!("has{} no `{name}`", of()), Some(hint)));
                    } else {
                        return Ok(None);
                    }
                }
                Step::Index(index) => match (here.get("items"), here.get("type").and_then(Value::as_str)) {
                    (Some(items), _) => here = items,
                    (None, Some("string" | "integer" | "number" | "boolean" | "object" | "null")) => {
                        return Err((format!("has{} no `[{index}]`: it is not a list", of()), Some("leave the index out".to_owned())));
                    }
                    (None, _) => return Ok(None),
                },
            }
        }
        Ok(Some(follow(&self.schema, here)))
    }

    fn example_of(&self, schema: &Value, depth: usize) -> Value {
        let schema = follow(&self.schema, schema);
        let Some(depth) = depth.checked_sub(1) else { return Value::Null };
        if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|words| words.first()) {
            return first.clone();
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        let of = match schema.get("type") {
            Some(Value::String(of)) => Some(of.as_str()),
            // `["string", "null"]`: an output that may be absent.
            Some(Value::Array(of)) => of.first().and_then(Value::as_str),
            _ => None,
        };
        match of {
            Some("string") => Value::from("x"),
            Some("integer" | "number") => Value::from(1),
            Some("boolean") => Value::from(true),
            Some("array") => Value::Array(schema.get("items").map(|items| self.example_of(items, depth)).into_iter().collect()),
            Some("object") => {
                let properties = schema.get("properties").and_then(Value::as_object);
                let fields = properties.into_iter().flatten().map(|(name, field)| (name.clone(), self.example_of(field, depth)));
                Value::Object(fields.collect::<Map<_, _>>())
            }
            _ => match ["anyOf", "oneOf"].iter().find_map(|key| schema.get(key)?.as_array()?.first()) {
                Some(first) => self.example_of(first, depth),
                None => Value::Null,
            },
        }
    }
}
