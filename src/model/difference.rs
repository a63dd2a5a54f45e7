//! Where two JSON values differ, for people.

use serde_json::Value;

/// Longest value shown.
const LONGEST: usize = 120;

/// Every place where `after` is not `before`: its path, such as `vswitches.vsw-1`, and both values in one line. In the order of the keys.
#[must_use]
pub fn differences(before: &Value, after: &Value) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<(String, String, String)>) {
    let under = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(was)), Some(Value::Object(is))) => {
            let keys: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
            for key in keys {
                compare(&under(key), was.get(key), is.get(key), found);
            }
        }
        (Some(Value::Array(was)), Some(Value::Array(is))) if was.len() == is.len() => {
            for (index, (was, is)) in was.iter().zip(is).enumerate() {
                compare(&under(&index.to_string()), Some(was), Some(is), found);
            }
        }
        (before, after) => found.push((path.to_owned(), shown(before), shown(after))),
    }
}

fn shown(value: Option<&Value>) -> String {
    let text = match value {
        None => return "absent".to_owned(),
        Some(Value::Null) => return "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    if text.chars().count() > LONGEST { text.chars().take(LONGEST).chain(['…']).collect() } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_named_by_path_with_both_values() {
        let before = json!({"acls": {"a": null, "b": "acl-1"}, "list": [1, 2], "same": [1]});
        let after = json!({"acls": {"a": "acl-9", "b": "acl-1"}, "list": [1], "same": [1], "new": true});
        let found = differences(&before, &after);
        let found: Vec<(&str, &str, &str)> = found.iter().map(|(path, was, is)| (path.as_str(), was.as_str(), is.as_str())).collect();
        assert_eq!(found, [("acls.a", "none", "acl-9"), ("list", "[1,2]", "[1]"), ("new", "absent", "true")]);
        assert_eq!(differences(&before, &before), []);
    }
}
