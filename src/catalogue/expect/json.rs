//! Assertions about a JSON answer: a path, and what must stand there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Unmet;

/// The value at `path`: a JSON Pointer (`/items/0/state`) or the same with dots (`items.0.state`, also `$.items.0.state`).
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() || path.starts_with('/') {
        return value.pointer(path);
    }
    let path = path.strip_prefix("$.").unwrap_or(path);
    path.split('.').try_fold(value, |value, part| match value {
        Value::Object(fields) => fields.get(part),
        Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
        _ => None,
    })
}

/// What does not hold, in one line: what differs before what is not there. The body must be JSON once anything is expected of it.
pub(crate) fn unmet(body: &[u8], expected: &BTreeMap<String, Value>) -> Option<Unmet> {
    if expected.is_empty() {
        return None;
    }
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return Some(Unmet::Untold("the answer is not JSON".to_owned())) };
    let mut absent = None;
    for (path, wanted) in expected {
        match at(&value, path) {
            Some(found) if is_equal(found, wanted) => {}
            Some(found) => return Some(Unmet::Differs(format!("{path} is {}, expected {wanted}", short(found)))),
            None => absent = absent.or_else(|| Some(Unmet::Untold(format!("there is no {path}, expected {wanted}")))),
        }
    }
    absent
}

/// 1 and 1.0 are the same number.
fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_equal(a, b))),
        _ => a == b,
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { format!("{}…", text.chars().take(60).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, wanted: Value, expected: Option<&str>) {
        let body = br#"{"state": "up", "items": [{"id": 1.0}], "a.b": true, "a/b": null}"#;
        assert_eq!(unmet(body, &BTreeMap::from([(path.to_owned(), wanted)])).map(String::from).as_deref(), expected, "{path}");
    }

    #[test]
    fn paths_and_pointers_lead_to_values() {
        check("state", "up".into(), None);
        check("$.state", "up".into(), None);
        check("/items/0/id", 1.into(), None);
        check("items.0.id", 1.into(), None);
        check("/a~1b", Value::Null, None);
        check("/a.b", true.into(), None);
        check("", serde_json::json!({"state": "up", "items": [{"id": 1}], "a.b": true, "a/b": null}), None);
        check("state", "down".into(), Some("state is \"up\", expected \"down\""));
        check("items.1", 1.into(), Some("there is no items.1, expected 1"));
        check("state.deeper", 1.into(), Some("there is no state.deeper, expected 1"));
    }

    #[test]
    fn what_is_not_there_is_told_from_what_differs() {
        let unmet = |expected: Value| unmet(br#"{"b": 2}"#, &serde_json::from_value(expected).unwrap());
        assert!(matches!(unmet(serde_json::json!({ "a": 1 })), Some(Unmet::Untold(_))));
        assert!(matches!(unmet(serde_json::json!({ "b": 1 })), Some(Unmet::Differs(_))));
        assert!(matches!(unmet(serde_json::json!({ "a": 1, "b": 1 })), Some(Unmet::Differs(_))), "one that differs is enough");
    }

    #[test]
    fn what_is_not_json_meets_no_expectation() {
        let expected = BTreeMap::from([("a".to_owned(), 1.into())]);
        assert_eq!(unmet(b"<html>", &expected), Some(Unmet::Untold("the answer is not JSON".to_owned())));
        assert_eq!(unmet(b"<html>", &BTreeMap::new()), None);
    }
}
