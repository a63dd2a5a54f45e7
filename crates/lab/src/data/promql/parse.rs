//! PromQL from text to tree. Depth and length are bounded; nothing panics on any input.

use std::time::Duration;

use regex_lite::Regex;

/// The longest query that is read, in bytes.
const LONGEST: usize = 10_000;
/// How deep expressions may be nested.
const DEEPEST: usize = 50;
/// The most operators in a query: a chain of them is a tree as deep, walked by recursion.
const MOST_OPERATORS: usize = 200;

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

impl Expr {
    /// Whether the value is one number rather than a vector.
    pub(crate) fn is_scalar(&self) -> bool {
        match self {
            Self::Number(_) | Self::Time => true,
            Self::Negative(of) => of.is_scalar(),
            Self::Binary { left, right, .. } => left.is_scalar() && right.is_scalar(),
            Self::Instant(_) | Self::Over { .. } | Self::Vector(_) | Self::Aggregate { .. } => false,
        }
    }
}

/// Which series; the name is a matcher on `__name__`.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<(String, Matcher)>,
}

#[derive(Debug, Clone)]
pub(crate) enum Matcher {
    Equal(String),
    NotEqual(String),
    Matches(Regex),
    MatchesNot(Regex),
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

const AGGREGATIONS: [(&str, Aggregation); 5] = [
    ("sum", Aggregation::Sum),
    ("avg", Aggregation::Average),
    ("min", Aggregation::Minimum),
    ("max", Aggregation::Maximum),
    ("count", Aggregation::Count),
];

/// Reads a query; the error is a sentence for the person who wrote it.
pub(crate) fn parse(text: &str) -> Result<Expr, String> {
    if text.len() > LONGEST {
        return Err(format!("the query is longer than {LONGEST} bytes"));
    }
    let tokens = tokens(text)?;
    if tokens.iter().filter(|token| matches!(token, Token::Sign(_))).count() > MOST_OPERATORS {
        return Err(format!("the query has more than {MOST_OPERATORS} operators, braces and commas"));
    }
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    if parser.tokens.is_empty() {
        return Err("no expression found in input".to_owned());
    }
    let expr = parser.comparison()?;
    match parser.next() {
        None => Ok(expr),
        Some(token) => Err(format!("unexpected {token}")),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Number(f64),
    Duration(Duration),
    Text(String),
    Sign(&'static str),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(word) => write!(f, "`{word}`"),
            Self::Number(number) => write!(f, "number {number}"),
            Self::Duration(duration) => write!(f, "duration {duration:?}"),
            Self::Text(text) => write!(f, "string {text:?}"),
            Self::Sign(sign) => write!(f, "`{sign}`"),
        }
    }
}

/// Longest first, so that `<=` is not read as `<`.
const SIGNS: [&str; 22] = ["=~", "!~", "==", "!=", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "{", "}", "[", "]", ",", "^"];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length;
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            length = sign.len();
        } else if first == '"' || first == '\'' {
            let (value, read) = string(rest, first)?;
            tokens.push(Token::Text(value));
            length = read;
        } else if first.is_ascii_digit() || first == '.' {
            length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(rest.len());
            tokens.push(number(&rest[..length])?);
        } else if first.is_ascii_alphabetic() || first == '_' {
            length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..length].to_owned()));
        } else {
            return Err(format!("unexpected character {first:?}"));
        }
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// A quoted string and its length in the text, quotes included.
fn string(text: &str, quote: char) -> Result<(String, usize), String> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some(escaped @ ('\\' | '"' | '\'')) => value.push(escaped),
                _ => return Err("unknown escape sequence in a string".to_owned()),
            },
            end if end == quote => return Ok((value, at + 1)),
            other => value.push(other),
        }
    }
    Err("unterminated quoted string".to_owned())
}

fn number(text: &str) -> Result<Token, String> {
    if let Ok(number) = text.parse::<f64>() {
        return Ok(Token::Number(number));
    }
    // Spans are read as in scenarios: units from long to short, `1m30s`.
    text.parse::<lifeboat_notation::time::Span>()
        .map(|span| Token::Duration(span.duration()))
        .map_err(|_| format!("bad number or duration syntax: {text:?}"))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn takes(&mut self, sign: &'static str) -> bool {
        let is_there = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), String> {
        match self.next() {
            Some(Token::Sign(found)) if found == sign => Ok(()),
            Some(other) => Err(format!("unexpected {other}, expected `{sign}`")),
            None => Err(format!("unexpected end of input, expected `{sign}`")),
        }
    }

    fn comparison(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("the query is nested deeper than {DEEPEST} levels"));
        }
        let mut left = self.sum()?;
        while let Some(operator) = self.operator(&[
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ]) {
            let is_bool = self.peek() == Some(&Token::Word("bool".to_owned()));
            self.at += usize::from(is_bool);
            let right = self.sum()?;
            if left.is_scalar() && right.is_scalar() && !is_bool {
                return Err("comparisons between scalars must use BOOL modifier".to_owned());
            }
            left = Expr::Binary { operator, is_bool, left: Box::new(left), right: Box::new(right) };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expr, String> {
        let mut left = self.product()?;
        while let Some(operator) = self.operator(&[("+", Operator::Add), ("-", Operator::Subtract)]) {
            let right = self.product()?;
            left = Expr::Binary { operator, is_bool: false, left: Box::new(left), right: Box::new(right) };
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expr, String> {
        let mut left = self.unary()?;
        while let Some(operator) = self.operator(&[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)]) {
            let right = self.unary()?;
            left = Expr::Binary { operator, is_bool: false, left: Box::new(left), right: Box::new(right) };
        }
        Ok(left)
    }

    fn operator(&mut self, operators: &[(&'static str, Operator)]) -> Option<Operator> {
        operators.iter().find(|(sign, _)| self.takes(sign)).map(|(_, operator)| *operator)
    }

    fn unary(&mut self) -> Result<Expr, String> {
        let mut is_negative = false;
        loop {
            if self.takes("-") {
                is_negative = !is_negative;
            } else if !self.takes("+") {
                break;
            }
        }
        let expr = self.primary()?;
        Ok(if is_negative { Expr::Negative(Box::new(expr)) } else { expr })
    }

    fn primary(&mut self) -> Result<Expr, String> {
        match self.next() {
            Some(Token::Number(number)) => Ok(Expr::Number(number)),
            Some(Token::Sign("(")) => {
                let expr = self.comparison()?;
                self.expect(")")?;
                Ok(expr)
            }
            Some(Token::Sign("{")) => {
                self.at -= 1;
                self.instant(None)
            }
            Some(Token::Word(word)) => self.word(word),
            Some(token) => Err(format!("unexpected {token}")),
            None => Err("unexpected end of input".to_owned()),
        }
    }

    fn word(&mut self, word: String) -> Result<Expr, String> {
        let is_call = self.peek() == Some(&Token::Sign("("));
        let groups = matches!(self.peek(), Some(Token::Word(next)) if next == "by" || next == "without");
        if let Some((_, operation)) = AGGREGATIONS.iter().find(|(name, _)| *name == word)
            && (is_call || groups)
        {
            return self.aggregate(*operation);
        }
        if !is_call {
            return match word.to_ascii_lowercase().as_str() {
                "nan" => Ok(Expr::Number(f64::NAN)),
                "inf" => Ok(Expr::Number(f64::INFINITY)),
                "bool" | "by" | "without" | "and" | "or" | "unless" | "on" | "ignoring" | "offset" => Err(format!("unexpected `{word}`")),
                _ => self.instant(Some(word)),
            };
        }
        self.expect("(")?;
        let expr = if let Some((_, function)) = OVERS.iter().find(|(name, _)| *name == word) {
            let selector = self.selector(None)?;
            let range = self.range()?.ok_or_else(|| format!("expected type range vector in call to function \"{word}\", got instant vector"))?;
            Expr::Over { function: *function, selector, range }
        } else {
            match word.as_str() {
                "time" => Expr::Time,
                "vector" => {
                    let of = self.comparison()?;
                    if !of.is_scalar() {
                        return Err("expected type scalar in call to function \"vector\", got instant vector".to_owned());
                    }
                    Expr::Vector(Box::new(of))
                }
                _ => return Err(format!("unknown function with name \"{word}\"")),
            }
        };
        self.expect(")")?;
        Ok(expr)
    }

    fn aggregate(&mut self, operation: Aggregation) -> Result<Expr, String> {
        let before = self.grouping()?;
        self.expect("(")?;
        let of = self.comparison()?;
        self.expect(")")?;
        if of.is_scalar() {
            return Err("expected type instant vector in aggregation expression, got scalar".to_owned());
        }
        let after = if before.is_none() { self.grouping()? } else { None };
        Ok(Expr::Aggregate { operation, grouping: before.or(after).unwrap_or(Grouping::By(Vec::new())), of: Box::new(of) })
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, String> {
        let make = match self.peek() {
            Some(Token::Word(word)) if word == "by" => Grouping::By,
            Some(Token::Word(word)) if word == "without" => Grouping::Without,
            _ => return Ok(None),
        };
        self.at += 1;
        self.expect("(")?;
        let mut labels = Vec::new();
        while !self.takes(")") {
            match self.next() {
                Some(Token::Word(label)) => labels.push(label),
                Some(token) => return Err(format!("unexpected {token} in grouping")),
                None => return Err("unexpected end of input in grouping".to_owned()),
            }
            if !self.takes(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(Some(make(labels)))
    }

    fn instant(&mut self, name: Option<String>) -> Result<Expr, String> {
        let selector = self.selector(name)?;
        match self.range()? {
            None => Ok(Expr::Instant(selector)),
            Some(_) => Err("a range vector is of use only inside a function such as rate".to_owned()),
        }
    }

    fn range(&mut self) -> Result<Option<Duration>, String> {
        if !self.takes("[") {
            return Ok(None);
        }
        let range = match self.next() {
            Some(Token::Duration(range)) if !range.is_zero() => range,
            _ => return Err("a range is a duration such as [5s]".to_owned()),
        };
        self.expect("]")?;
        Ok(Some(range))
    }

    /// A selector: a name (here already read, or still to come), matchers in braces, or both.
    fn selector(&mut self, name: Option<String>) -> Result<Selector, String> {
        let name = match (name, self.peek()) {
            (None, Some(Token::Word(word))) => {
                let word = word.clone();
                self.at += 1;
                Some(word)
            }
            (name, _) => name,
        };
        let mut matchers: Vec<_> = name.into_iter().map(|name| ("__name__".to_owned(), Matcher::Equal(name))).collect();
        if self.takes("{") {
            while !self.takes("}") {
                matchers.push(self.matcher()?);
                if !self.takes(",") {
                    self.expect("}")?;
                    break;
                }
            }
        }
        let selects = |matcher: &Matcher| match matcher {
            Matcher::Equal(value) => !value.is_empty(),
            Matcher::Matches(regex) => !regex.is_match(""),
            Matcher::NotEqual(_) | Matcher::MatchesNot(_) => false,
        };
        if matchers.iter().any(|(_, matcher)| selects(matcher)) {
            Ok(Selector { matchers })
        } else {
            Err("vector selector must contain at least one non-empty matcher".to_owned())
        }
    }

    fn matcher(&mut self) -> Result<(String, Matcher), String> {
        let (label, sign, value) = match (self.next(), self.next(), self.next()) {
            (Some(Token::Word(label)), Some(Token::Sign(sign)), Some(Token::Text(value))) => (label, sign, value),
            _ => return Err("a label matcher is written like label=\"value\"".to_owned()),
        };
        // Prometheus anchors its expressions at both ends.
        let regex = |value: &str| Regex::new(&format!("^(?s:{value})$")).map_err(|error| format!("bad regular expression {value:?}: {error}"));
        let matcher = match sign {
            "=" => Matcher::Equal(value),
            "!=" => Matcher::NotEqual(value),
            "=~" => Matcher::Matches(regex(&value)?),
            "!~" => Matcher::MatchesNot(regex(&value)?),
            other => return Err(format!("unexpected `{other}` in a label matcher")),
        };
        Ok((label, matcher))
    }
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
            "rate(shop_requests_total{outcome!~\"ok|none\"}[5s])",
            "sum(rate(shop_requests_total[1m30s]))",
            "sum by (service, outcome) (rate(shop_requests_total[5s])) > 0.5",
            "sum(rate(a[5s])) by (service) / sum without(server)(rate(b[5s]))",
            "1 + 2 * -3",
            "(1) > bool 0",
            "max_over_time(shop_replication_lag_seconds[10s]) <= 5",
            "time() - vector(3)",
            "sum",
            ".5 * 1e3",
        ] {
            assert!(parse(query).is_ok(), "{query}: {:?}", parse(query));
        }
    }

    #[test]
    fn what_is_wrong_is_refused_with_a_sentence() {
        for (query, part) in [
            ("", "no expression"),
            ("up{", "label"),
            ("up{a=1}", "label"),
            ("up{a=~\"(\"}", "bad regular expression"),
            ("{a=\"\"}", "non-empty matcher"),
            ("up[5s]", "range vector"),
            ("rate(up)", "expected type range vector"),
            ("rate(up[0s])", "range"),
            ("rate(up[5])", "range"),
            ("nope(up)", "unknown function"),
            ("1 == 1", "BOOL"),
            ("up up", "unexpected `up`"),
            ("up and up", "unexpected `and`"),
            ("sum(1)", "got scalar"),
            ("\"text", "unterminated"),
            ("up # no", "unexpected character"),
            ("5x", "duration"),
            ("(1", "end of input"),
            ("1 +", "end of input"),
        ] {
            let error = parse(query).expect_err(query);
            assert!(error.contains(part), "{query}: {error}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        assert!(parse(&"(".repeat(150)).unwrap_err().contains("deeper"));
        assert!(parse(&"-".repeat(9000)).unwrap_err().contains("operators"));
        assert!(parse(&"1+".repeat(6000)).unwrap_err().contains("longer"));
        assert!(parse(&format!("{}1", "1+".repeat(4000))).unwrap_err().contains("operators"));
        assert!(parse(&format!("{}1", "1+".repeat(200))).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-z0-9(){}\\[\\]\"'=~!<>+*/,. \\\\é-]{0,60}") {
            let _ = parse(&text);
        }
    }
}
