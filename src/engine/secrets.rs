//! Secrets by reference: `{ secret: "env:NAME" }` or `{ secret: "file:PATH" }` in parameters becomes its text only in the moment of use.
//! Plans, journals and errors hold the reference.

use std::io::Read as _;

use serde_json::Value;

use crate::model::failure::{Failure, FailureKind};

/// More than this is no secret but a file given by mistake.
const LONGEST: u64 = 64 * 1024;

/// `value` with every reference replaced by its secret.
///
/// # Errors
/// When a reference leads nowhere; the message names the reference, never a secret.
pub(crate) fn reveal(value: &Value) -> Result<Value, Failure> {
    Ok(match value {
        Value::Object(map) if map.len() == 1 && map.contains_key("secret") => {
            let reference = map.get("secret").and_then(Value::as_str).unwrap_or_default();
            read(reference).map(Value::String).map_err(|why| Failure::new(FailureKind::Parameters, format!("secret `{reference}`: {why}")))?
        }
        Value::Object(map) => map.iter().map(|(key, value)| Ok((key.clone(), reveal(value)?))).collect::<Result<_, Failure>>().map(Value::Object)?,
        Value::Array(items) => items.iter().map(reveal).collect::<Result<_, Failure>>().map(Value::Array)?,
        other => other.clone(),
    })
}

fn read(reference: &str) -> Result<String, String> {
    match reference.split_once(':') {
        Some(("env", name)) => std::env::var(name).map_err(|_| "this environment variable is not set, or not text".to_owned()),
        Some(("file", path)) => {
            let mut text = String::new();
            std::fs::File::open(path)
                .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
                .map_err(|error| format!("the file cannot be read: {error}"))?;
            if text.len() as u64 > LONGEST {
                Err("the file is longer than 64 KiB".to_owned())
            } else {
                Ok(text.trim_end_matches(['\n', '\r']).to_owned())
            }
        }
        _ => Err("write env:NAME or file:PATH".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_is_read_and_its_last_line_break_dropped() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let reference = format!("file:{}", file.path().display());
        assert_eq!(reveal(&json!({"headers": [{"secret": reference}]})).unwrap(), json!({"headers": ["s3cret"]}));
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_named() {
        let failure = reveal(&json!({"secret": "env:LIFEBOAT_NO_SUCH_VARIABLE"})).unwrap_err();
        assert!(failure.message.contains("env:LIFEBOAT_NO_SUCH_VARIABLE"), "{failure}");
        assert!(reveal(&json!({"secret": "vault:x"})).is_err());
    }
}
