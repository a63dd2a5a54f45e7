//! PromQL from text to tree. promql-parser reads the text; what the lab computes is taken from its tree, and the rest is refused in a sentence.
//!
//! Length and number of tokens are bounded before a tree is made: no tree is deeper than it has tokens, and trees are walked by recursion.

use std::time::Duration;

use lrpar::{Lexeme as _, Lexer as _};
use promql_parser::parser as promql;
use promql_parser::parser::token::{
    T_ADD, T_AVG, T_COLON, T_COUNT, T_DIV, T_EQLC, T_GTE, T_GTR, T_LEFT_BRACKET, T_LSS, T_LTE, T_MAX, T_MIN, T_MOD, T_MUL, T_NEQ, T_NUMBER, T_OFFSET,
    T_SUB, T_SUM, TokenId,
};
use promql_parser::parser::{LabelModifier, VectorMatchCardinality, VectorMatchFillValues, VectorSelector};

use crate::data::metrics::Series;

/// The longest query that is read, in bytes.
const LONGEST: usize = 10_000;
/// The most tokens in a query.
const MOST_TOKENS: usize = 500;

/// An expression.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Number(f64),
    /// The latest value of every chosen series.
    Instant(Selector),
    /// A function over the chosen series' points of the last `range`.
    Over {
        function: Over,
        selector: Selector,
        range: Duration,
    },
    /// The moment of evaluation, in seconds.
    Time,
    /// A scalar as a vector without labels.
    Vector(Box<Self>),
    Negative(Box<Self>),
    Aggregate {
        operation: Aggregation,
        grouping: Grouping,
        of: Box<Self>,
    },
    Binary {
        operator: Operator,
        is_bool: bool,
        left: Box<Self>,
        right: Box<Self>,
    },
}

/// Which series.
#[derive(Debug, Clone)]
pub(crate) struct Selector(VectorSelector);

impl Selector {
    /// Whether it chooses this series.
    pub(crate) fn chooses(&self, series: &Series) -> bool {
        let value_of = |label: &str| if label == "__name__" { &series.name } else { series.labels.get(label).map_or("", String::as_str) };
        let fit = |matchers: &[promql_parser::label::Matcher]| matchers.iter().all(|matcher| matcher.is_match(value_of(&matcher.name)));
        let matchers = &self.0.matchers;
        self.0.name.as_ref().is_none_or(|name| *name == series.name)
            && fit(&matchers.matchers)
            && (matchers.or_matchers.is_empty() || matchers.or_matchers.iter().any(|matchers| fit(matchers)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Rate,
    Increase,
    Delta,
    Average,
    Minimum,
    Maximum,
    Sum,
    Count,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Sum,
    Average,
    Minimum,
    Maximum,
    Count,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    pub(crate) fn is_comparison(self) -> bool {
        !matches!(self, Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Remainder)
    }
}

const OVERS: [(&str, Over); 8] = [
    ("rate", Over::Rate),
    ("increase", Over::Increase),
    ("delta", Over::Delta),
    ("avg_over_time", Over::Average),
    ("min_over_time", Over::Minimum),
    ("max_over_time", Over::Maximum),
    ("sum_over_time", Over::Sum),
    ("count_over_time", Over::Count),
];

const AGGREGATIONS: [(TokenId, Aggregation); 5] = [
    (T_SUM, Aggregation::Sum),
    (T_AVG, Aggregation::Average),
    (T_MIN, Aggregation::Minimum),
    (T_MAX, Aggregation::Maximum),
    (T_COUNT, Aggregation::Count),
];

const OPERATORS: [(TokenId, Operator); 11] = [
    (T_ADD, Operator::Add),
    (T_SUB, Operator::Subtract),
    (T_MUL, Operator::Multiply),
    (T_DIV, Operator::Divide),
    (T_MOD, Operator::Remainder),
    (T_EQLC, Operator::Equal),
    (T_NEQ, Operator::NotEqual),
    (T_LSS, Operator::Less),
    (T_LTE, Operator::LessOrEqual),
    (T_GTR, Operator::Greater),
    (T_GTE, Operator::GreaterOrEqual),
];

/// Reads a query; the error is a sentence for the person who wrote it.
pub(crate) fn parse(text: &str) -> Result<Expr, String> {
    if text.len() > LONGEST {
        return Err(format!("the query is longer than {LONGEST} bytes"));
    }
    check_tokens(text)?;
    expression(&promql::parse(text)?)
}

/// What has to be known before promql-parser makes a tree: that the tree is not too deep, and that no number stands where a duration belongs. Prometheus takes a
/// number there for seconds; promql-parser panics at one that is too large or none (`[1e300]`, `offset inf`).
fn check_tokens(text: &str) -> Result<(), String> {
    let tokens: Vec<TokenId> = promql::lexer(text)?.iter().flatten().map(|token| token.tok_id()).collect();
    if tokens.len() > MOST_TOKENS {
        return Err(format!("the query has more than {MOST_TOKENS} words and signs"));
    }
    let is_a_number = |at: usize| tokens.get(at) == Some(&T_NUMBER);
    for (at, token) in tokens.iter().enumerate() {
        let signed = matches!(tokens.get(at + 1), Some(&(T_ADD | T_SUB)));
        match *token {
            T_LEFT_BRACKET | T_COLON if is_a_number(at + 1) => return Err("a range is a duration such as [5s]".to_owned()),
            T_OFFSET if is_a_number(at + 1 + usize::from(signed)) => return Err("an offset is a duration such as 5s".to_owned()),
            _ => {}
        }
    }
    Ok(())
}

fn expression(expr: &promql::Expr) -> Result<Expr, String> {
    Ok(match expr {
        promql::Expr::NumberLiteral(number) => Expr::Number(number.val),
        promql::Expr::Paren(paren) => expression(&paren.expr)?,
        promql::Expr::Unary(unary) => Expr::Negative(Box::new(expression(&unary.expr)?)),
        promql::Expr::VectorSelector(chosen) => Expr::Instant(selector(chosen)?),
        promql::Expr::Call(call) => function(call)?,
        promql::Expr::Aggregate(aggregate) => aggregation(aggregate)?,
        promql::Expr::Binary(binary) => operation(binary)?,
        promql::Expr::MatrixSelector(_) => return Err("a range vector is of use only inside a function such as rate".to_owned()),
        promql::Expr::Subquery(_) => return Err("the lab computes no subqueries".to_owned()),
        promql::Expr::StringLiteral(_) | promql::Expr::Extension(_) => return Err("the lab computes numbers and vectors only".to_owned()),
    })
}

fn selector(chosen: &VectorSelector) -> Result<Selector, String> {
    if chosen.offset.is_some() || chosen.at.is_some() {
        return Err("the lab knows neither `offset` nor `@`".to_owned());
    }
    Ok(Selector(chosen.clone()))
}

fn function(call: &promql::Call) -> Result<Expr, String> {
    let name = call.func.name;
    let arguments: Vec<&promql::Expr> = call.args.args.iter().map(AsRef::as_ref).collect();
    let over = OVERS.iter().find(|(known, _)| *known == name).map(|(_, function)| *function);
    Ok(match (over, name, arguments.as_slice()) {
        (Some(function), _, [promql::Expr::MatrixSelector(matrix)]) => Expr::Over { function, selector: selector(&matrix.vs)?, range: matrix.range },
        (None, "time", []) => Expr::Time,
        (None, "vector", [of]) => Expr::Vector(Box::new(expression(of)?)),
        (Some(_), ..) => return Err(format!("{name} in the lab takes a selector with a range, such as {name}(up[5s])")),
        (None, ..) => return Err(format!("the lab does not compute {name}")),
    })
}

fn aggregation(aggregate: &promql::AggregateExpr) -> Result<Expr, String> {
    let Some((_, operation)) = AGGREGATIONS.iter().find(|(token, _)| *token == aggregate.op.id()) else {
        return Err(format!("the lab does not compute {}", aggregate.op));
    };
    let grouping = match &aggregate.modifier {
        None => Grouping::By(Vec::new()),
        Some(LabelModifier::Include(labels)) => Grouping::By(labels.labels.clone()),
        Some(LabelModifier::Exclude(labels)) => Grouping::Without(labels.labels.clone()),
    };
    Ok(Expr::Aggregate { operation: *operation, grouping, of: Box::new(expression(&aggregate.expr)?) })
}

fn operation(binary: &promql::BinaryExpr) -> Result<Expr, String> {
    let Some((_, operator)) = OPERATORS.iter().find(|(token, _)| *token == binary.op.id()) else {
        return Err(format!("the lab does not compute `{}`", binary.op));
    };
    let is_plain = |modifier: &promql::BinModifier| {
        modifier.matching.is_none() && modifier.card == VectorMatchCardinality::OneToOne && modifier.fill_values == VectorMatchFillValues::default()
    };
    if !binary.modifier.as_ref().is_none_or(is_plain) {
        return Err("the lab matches the series of two vectors by all their labels only".to_owned());
    }
    let (left, right) = (Box::new(expression(&binary.lhs)?), Box::new(expression(&binary.rhs)?));
    Ok(Expr::Binary { operator: *operator, is_bool: binary.return_bool(), left, right })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        for query in [
            "up",
            "shop_service_up{service=\"storefront\"}",
            "{__name__=~'shop_.*', service!=\"x\",}",
            "{service=\"storefront\" or service=\"checkout\"}",
            "rate(shop_requests_total{outcome!~\"ok|none\"}[5s])",
            "sum(rate(shop_requests_total[1m30s]))",
            "sum by (service, outcome) (rate(shop_requests_total[5s])) > 0.5",
            "sum(rate(a[5s])) by (service) / sum without(server)(rate(b[5s]))",
            "1 + 2 * -3",
            "(1) > bool 0",
            "max_over_time(shop_replication_lag_seconds[10s]) <= 5",
            "time() - vector(3)",
            "sum",
            ".5 * 1e3 # and a comment",
        ] {
            assert!(parse(query).is_ok(), "{query}: {:?}", parse(query));
        }
    }

    #[test]
    fn what_is_wrong_is_refused_with_a_sentence() {
        for (query, part) in [
            ("", "no expression"),
            ("up{", "inside braces"),
            ("up{a=1}", "inside braces"),
            ("up{a=~\"(\"}", "illegal regex"),
            ("{a=\"\"}", "non-empty matcher"),
            ("rate(up)", "expected type matrix"),
            ("rate(up[0s])", "greater than 0"),
            ("nope(up)", "unknown function"),
            ("1 == 1", "BOOL"),
            ("up up", "invalid promql query"),
            ("sum(1)", "expected type vector"),
            ("vector(up)", "expected type scalar"),
            ("\"text", "unterminated"),
            ("5x", "bad number or duration"),
            ("(1", "unclosed"),
            ("1 +", "invalid promql query"),
        ] {
            let error = parse(query).expect_err(query);
            assert!(error.contains(part), "{query}: {error}");
        }
    }

    #[test]
    fn what_the_lab_does_not_compute_is_said() {
        for (query, part) in [
            ("up[5s]", "inside a function"),
            ("\"text\"", "numbers and vectors"),
            ("up and up", "`and`"),
            ("up ^ 2", "`^`"),
            ("up + on (a) up", "all their labels"),
            ("up + ignoring (a) group_left () up", "all their labels"),
            ("up offset 5s", "offset"),
            ("up @ 5", "`@`"),
            ("rate(up[1m:5s])", "such as rate(up[5s])"),
            ("max_over_time(up[1m:])", "such as max_over_time(up[5s])"),
            ("topk(3, up)", "topk"),
            ("abs(up)", "abs"),
        ] {
            let error = parse(query).expect_err(query);
            assert!(error.contains(part), "{query}: {error}");
        }
    }

    /// promql-parser panics at most of these.
    #[test]
    fn numbers_are_no_durations() {
        for query in ["rate(up[5])", "up[1e300]", "up[5s:1e300]", "up offset 1e300", "up offset -nan", "up offset +1e30", "up[5s] offset inf"] {
            let error = parse(query).expect_err(query);
            assert!(error.contains("duration"), "{query}: {error}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        assert!(parse(&"(".repeat(600)).is_err());
        assert!(parse(&format!("{}1{}", "(".repeat(600), ")".repeat(600))).unwrap_err().contains("words and signs"));
        assert!(parse(&format!("{}1", "-".repeat(9000))).unwrap_err().contains("words and signs"));
        assert!(parse(&"1+".repeat(6000)).unwrap_err().contains("longer"));
        assert!(parse(&format!("{}1", "1+".repeat(4000))).unwrap_err().contains("words and signs"));
        for deepest in [format!("{}1{}", "(".repeat(249), ")".repeat(249)), format!("{}up", "-".repeat(498)), format!("{}1", "1+".repeat(249))] {
            assert!(parse(&deepest).is_ok(), "{deepest}: {:?}", parse(&deepest));
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-z0-9(){}\\[\\]\"'=~!<>+*/,. \\\\é:@^#-]{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_words_make_the_parser_panic(words in proptest::collection::vec(proptest::sample::select(vec![
            "up", "rate", "sum", "by", "without", "on", "ignoring", "group_left", "offset", "bool", "inf", "nan", "and", "fill", "or", "start", "end",
            "(", ")", "{", "}", "[", "]", ",", ":", "@", "+", "-", "*", "^", "==", "=~", "=", "5s", "1e300", "0x1f", "089", "'a'", "\"\\x41\"", "`b`",
        ]), 0..20)) {
            let _ = parse(&words.join(" "));
        }
    }
}
