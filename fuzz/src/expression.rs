//! Expressions: read, written again, evaluated.

use std::sync::OnceLock;

use lifeboat::model::expression::{Expression, is_true, literal, resolve, resolve_static};
use serde_json::{Value, json};

fn scope() -> &'static Value {
    static SCOPE: OnceLock<Value> = OnceLock::new();
    SCOPE.get_or_init(|| {
        json!({
            "env": {"name": "lab", "aliyun": {"region": "cn-hangzhou"}},
            "vars": {"zone": "shop.example.com.", "weights": {"aws": 100, "aliyun": 0}, "n": 3, "big": 9_007_199_254_740_993_i64, "x": 1.5,
                     "multi-az": true, "list": ["a", "b", 3, null], "区": "é\u{1f600}", "0": "zero", "none": null},
            "parameters": {"service": "storefront"},
            "steps": {"start-standby": {"output": {"ids": ["i-1", "i-2"], "count": 2}}},
            "item": {"id": "i-1"},
        })
    })
}

/// A text with expressions in it, a condition, or (after a zero byte) a JSON value whose texts hold expressions.
pub fn expression(data: &[u8]) {
    if let Some(rest) = data.strip_prefix(b"\0") {
        return value(rest);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    for expression in [Expression::parse(text), Expression::parse_condition(text)] {
        let expression = match expression {
            Ok(expression) => expression,
            Err(error) => {
                assert!(error.at.start <= error.at.end && error.at.end <= text.len(), "{error} at {:?}", error.at);
                continue;
            }
        };
        for reference in expression.references() {
            assert!(text.get(reference.at.clone()).is_some(), "{reference} at {:?}", reference.at);
        }
        let same = expression.rewrite(|_| None);
        assert_eq!(Expression::parse(&same).map(|again| again.rewrite(|_| None)), Ok(same), "written again and read again");
        let _ = expression.rewrite_condition(|reference| Some(reference.to_string()));
        match expression.evaluate(scope()) {
            Ok(value) => assert!(value.to_string().len() < 16 << 20, "a value of {} bytes", value.to_string().len()),
            Err(error) => assert!(error.at.start <= error.at.end && error.at.start <= text.len(), "{error} at {:?}", error.at),
        }
    }
    let _ = is_true(text, scope());
}

/// A value is what its literal comes to, and its expressions are evaluated wherever they stand.
fn value(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let _ = resolve_static(&value, scope());
    let _ = resolve(&value, scope());
    let text = literal(&value);
    if text.contains("${{") || text.contains("}}") {
        return;
    }
    if let Ok(expression) = Expression::parse_condition(&text)
        && let Ok(back) = expression.evaluate(&json!({}))
    {
        assert!(alike(&back, &value), "{text} came to {back}");
    }
}

/// Equal, numbers by their value: `1.0` may come back as `1`.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b))),
        _ => one == other,
    }
}
