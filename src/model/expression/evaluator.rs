//! The evaluator: which filters and tests there are, and how its values become JSON within bounds.

use std::sync::OnceLock;

use minijinja::value::ValueKind;
use minijinja::{Environment, UndefinedBehavior, filters, tests};
use serde_json::{Map, Value};

/// Instructions one evaluation may take.
const FUEL: u64 = 20_000;
/// The largest result, in values.
pub(super) const MAX_VALUES: usize = 10_000;

pub(super) enum NotJson {
    Undefined,
    TooLarge,
    Other,
}

pub(super) fn to_json(value: &minijinja::Value, budget: &mut usize) -> Result<Value, NotJson> {
    *budget = budget.checked_sub(1).ok_or(NotJson::TooLarge)?;
    Ok(match value.kind() {
        ValueKind::Undefined => return Err(NotJson::Undefined),
        ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number => serde_json::to_value(value).map_err(|_| NotJson::Other)?,
        ValueKind::String => Value::from(value.as_str().ok_or(NotJson::Other)?),
        // Lists may be made as they are read (`[0] * 1000000000`): the budget ends that.
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().map_err(|_| NotJson::Other)?;
            Value::Array(items.map(|item| to_json(&item, budget)).collect::<Result<_, _>>()?)
        }
        ValueKind::Map => {
            let mut map = Map::new();
            for key in value.try_iter().map_err(|_| NotJson::Other)? {
                let item = value.get_item(&key).map_err(|_| NotJson::Other)?;
                map.insert(key.to_string(), to_json(&item, budget)?);
            }
            Value::Object(map)
        }
        _ => return Err(NotJson::Other),
    })
}

/// What may stand after `|`.
pub(super) const FILTERS: [&str; 19] = [
    "lower", "upper", "trim", "replace", "split", "join", "length", "first", "last", "min", "max", "sort", "unique", "default", "int", "float",
    "string", "round", "abs",
];

/// The evaluator with the filters and tests that make sense on configuration; none that can make much out of little.
pub(super) fn evaluator() -> &'static Environment<'static> {
    static EVALUATOR: OnceLock<Environment<'static>> = OnceLock::new();
    EVALUATOR.get_or_init(|| {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.add_filter("lower", filters::lower);
        environment.add_filter("upper", filters::upper);
        environment.add_filter("trim", filters::trim);
        environment.add_filter("replace", filters::replace);
        environment.add_filter("split", filters::split);
        environment.add_filter("join", filters::join);
        environment.add_filter("length", filters::length);
        environment.add_filter("first", filters::first);
        environment.add_filter("last", filters::last);
        environment.add_filter("min", filters::min);
        environment.add_filter("max", filters::max);
        environment.add_filter("sort", filters::sort);
        environment.add_filter("unique", filters::unique);
        environment.add_filter("default", filters::default);
        environment.add_filter("int", filters::int);
        environment.add_filter("float", filters::float);
        environment.add_filter("string", filters::string);
        environment.add_filter("round", filters::round);
        environment.add_filter("abs", filters::abs);
        environment.add_test("defined", tests::is_defined);
        environment.add_test("undefined", tests::is_undefined);
        environment.add_test("none", tests::is_none);
        environment.add_test("string", tests::is_string);
        environment.add_test("number", tests::is_number);
        environment.add_test("in", tests::is_in);
        environment
    })
}
