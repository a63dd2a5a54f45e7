//! Between CBOR and JSON values, as far as Smithy RPC v2 uses it: what a request holds, and what an answer is made of.

use minicbor::data::{IanaTag, Tag, Type};
use minicbor::{Decoder, Encoder};
use serde_json::{Map, Number, Value};

use super::smithy::Shape;

/// Deeper nesting than any request has.
const MAX_DEPTH: usize = 32;

/// The body is not the CBOR it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

impl From<minicbor::decode::Error> for Malformed {
    fn from(error: minicbor::decode::Error) -> Self {
        Self(error.to_string())
    }
}

/// Reads one value; times become numbers of seconds.
///
/// # Errors
/// [`Malformed`] for anything that is not one value of at most 32 levels without byte strings.
pub fn read(body: &[u8]) -> Result<Value, Malformed> {
    let mut decoder = Decoder::new(body);
    let value = value(&mut decoder, 0)?;
    if decoder.position() == body.len() { Ok(value) } else { Err(Malformed("something follows the value".to_owned())) }
}

fn value(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, Malformed> {
    if depth == MAX_DEPTH {
        return Err(Malformed("values are nested too deeply".to_owned()));
    }
    Ok(match decoder.datatype()? {
        Type::Bool => Value::Bool(decoder.bool()?),
        Type::Null => {
            decoder.null()?;
            Value::Null
        }
        Type::Undefined => {
            decoder.undefined()?;
            Value::Null
        }
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => Value::from(decoder.u64()?),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 => Value::from(decoder.i64()?),
        Type::F16 | Type::F32 | Type::F64 => {
            Number::from_f64(decoder.f64()?).map(Value::Number).ok_or_else(|| Malformed("a number is not finite".to_owned()))?
        }
        Type::String | Type::StringIndef => Value::String(text(decoder)?),
        Type::Tag => {
            // A time; whatever else was tagged is taken as what it is.
            decoder.tag()?;
            value(decoder, depth + 1)?
        }
        Type::Array | Type::ArrayIndef => {
            let length = decoder.array()?;
            let mut items = Vec::new();
            while goes_on(decoder, length, items.len())? {
                items.push(value(decoder, depth + 1)?);
            }
            Value::Array(items)
        }
        Type::Map | Type::MapIndef => {
            let length = decoder.map()?;
            let mut fields = Map::new();
            let mut read = 0;
            while goes_on(decoder, length, read)? {
                let name = text(decoder)?;
                fields.insert(name, value(decoder, depth + 1)?);
                read += 1;
            }
            Value::Object(fields)
        }
        other => return Err(Malformed(format!("unexpected {other}"))),
    })
}

fn text(decoder: &mut Decoder<'_>) -> Result<String, Malformed> {
    Ok(decoder.str_iter()?.collect::<Result<Vec<&str>, _>>()?.concat())
}

/// Whether a list or map has another entry; takes the break that ends one of unsaid length.
fn goes_on(decoder: &mut Decoder<'_>, length: Option<u64>, read: usize) -> Result<bool, Malformed> {
    match length {
        Some(length) => Ok((read as u64) < length),
        None if decoder.datatype()? == Type::Break => {
            decoder.skip()?;
            Ok(false)
        }
        None => Ok(true),
    }
}

/// Writes a value.
#[must_use]
pub fn write(shape: &Shape) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    put(&mut encoder, shape).expect("memory takes every write");
    encoder.into_writer()
}

fn put(encoder: &mut Encoder<Vec<u8>>, shape: &Shape) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    match shape {
        Shape::Text(text) => encoder.str(text)?,
        Shape::Flag(flag) => encoder.bool(*flag)?,
        Shape::Integer(number) => encoder.i64(*number)?,
        Shape::Number(number) => encoder.f64(*number)?,
        Shape::Time(at) => encoder.tag(Tag::from(IanaTag::Timestamp))?.f64(super::smithy::seconds(*at))?,
        Shape::List(items) => {
            encoder.array(items.len() as u64)?;
            items.iter().try_for_each(|item| put(encoder, item))?;
            encoder
        }
        Shape::Fields(fields) => {
            encoder.map(fields.len() as u64)?;
            for (name, field) in fields {
                encoder.str(name)?;
                put(encoder, field)?;
            }
            encoder
        }
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use lifeboat_notation::time::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let shape = Shape::Fields(vec![
            ("Name", "告警".into()),
            ("Period", Shape::Integer(-60)),
            ("Threshold", Shape::Number(0.5)),
            ("At", Shape::Time(Timestamp::from_nanos(1_500_000_000))),
            ("List", Shape::List(vec![Shape::Flag(true), Shape::Fields(Vec::new())])),
        ]);
        let expected = json!({ "Name": "告警", "Period": -60, "Threshold": 0.5, "At": 1.5, "List": [true, {}] });
        assert_eq!(read(&write(&shape)).unwrap(), expected);
    }

    #[test]
    fn values_of_unsaid_length_are_read() {
        // As the Rust SDK writes structures: {_ "a": [_ 1, 2], "b": (_ "x", "y")}
        let body = b"\xbf\x61a\x9f\x01\x02\xff\x61b\x7f\x61x\x61y\xff\xff";
        assert_eq!(read(body).unwrap(), json!({ "a": [1, 2], "b": "xy" }));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let deep: Vec<u8> = std::iter::repeat_n(0x81, 100_000).collect();
        let huge = b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff".to_vec();
        for body in [&b""[..], b"\x01\x01", b"\xa1\x01\x02", b"\x41x", b"\xfb\x7f\xf8\0\0\0\0\0\0", b"\xbf\x61a", b"\xff", &deep, &huge] {
            assert!(read(body).is_err(), "{:x?}", &body[..body.len().min(10)]);
        }
    }
}
