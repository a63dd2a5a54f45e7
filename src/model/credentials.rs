//! What looks like a credential in what people write: definitions are kept with every run, so none may stand in them, and what quotes them hides it.
//!
//! A guess by names and by shape. It is meant to catch what slips in, not what somebody hides on purpose; what is said by reference needs no guess
//! (see `ports::secrets`).

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;
use url::Url;

use super::yaml::Seg;

/// What a name that ends so, or is so, stands for.
const NAMES: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "access_key",
    "secret_key",
    "private_key",
    "authorization",
    "cookie",
    "credentials",
];
/// In a query also these, which sign or open.
const IN_QUERY: [&str; 4] = ["key", "sig", "signature", "auth"];

/// Whether what is called `name` is a secret: `Authorization`, `DB_PASSWORD`, `x-api-key`, `token`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let name = name.trim_start_matches(['-', '/']).to_ascii_lowercase().replace(['-', '.', ' '], "_");
    let name = name.rsplit('/').next().unwrap_or(&name);
    NAMES.iter().any(|word| name.strip_suffix(word).is_some_and(|rest| rest.is_empty() || rest.ends_with('_') || *word == "password"))
}

/// Whether `value` is a reference to a secret, `{ secret: … }`.
#[must_use]
pub fn is_reference(value: &Value) -> bool {
    matches!(value, Value::Object(map) if map.len() == 1 && map.contains_key("secret"))
}

/// Whether some part of `value` is a reference to a secret.
#[must_use]
pub fn has_reference(value: &Value) -> bool {
    is_reference(value)
        || match value {
            Value::Object(map) => map.values().any(has_reference),
            Value::Array(items) => items.iter().any(has_reference),
            _ => false,
        }
}

/// Whether a text says where a secret is: `env:NAME` or `file:PATH`.
#[must_use]
pub fn is_place(text: &str) -> bool {
    ["env:", "file:"].iter().any(|from| text.strip_prefix(from).is_some_and(|name| !name.is_empty()))
}

/// Where in `value`, which is called `name`, credentials stand as they are instead of by reference. Texts with expressions are left alone.
#[must_use]
pub fn literals(name: &str, value: &Value) -> Vec<Vec<Seg>> {
    fn walk(name: &str, value: &Value, way: &mut Vec<Seg>, found: &mut Vec<Vec<Seg>>) {
        match value {
            _ if is_reference(value) && value["secret"].as_str().is_some_and(is_place) => {}
            _ if is_reference(value) => found.push(way.clone()),
            Value::String(text) if text.is_empty() || text.contains("${{") => {}
            Value::String(text) if is_name(name) || is_credential(text) => found.push(way.clone()),
            Value::Object(map) => {
                for (key, value) in map {
                    way.push(Seg::Key(key.clone()));
                    walk(key, value, way, found);
                    way.pop();
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    way.push(Seg::Index(index));
                    walk(name, value, way, found);
                    way.pop();
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(name, value, &mut Vec::new(), &mut found);
    found
}

/// Whether a whole text is one: a URL with a password or a token in it, or `--password=…`.
fn is_credential(text: &str) -> bool {
    let is_option = text.split_once('=').is_some_and(|(name, value)| !value.is_empty() && !name.contains([' ', ':', '?']) && is_name(name));
    is_option || (text.starts_with("http") && Url::parse(text).is_ok_and(|url| !in_url(&url).is_empty()))
}

/// The credentials in a URL, decoded: password, or the name where it stands alone, and what secret parameters of the query are.
#[must_use]
pub fn in_url(url: &Url) -> Vec<String> {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = url.password().or(Some(url.username())).filter(|text| !text.is_empty()).map(decoded);
    let query = url.query_pairs().filter(|(name, value)| !value.is_empty() && is_parameter(name)).map(|(_, value)| value.into_owned());
    user.into_iter().chain(query).collect()
}

fn is_parameter(name: &str) -> bool {
    is_name(name) || IN_QUERY.contains(&&*name.to_ascii_lowercase())
}

/// A line of a file with everything in it that looks like a credential made unreadable; nothing changes its place.
#[must_use]
pub fn hidden(line: &str) -> Cow<'_, str> {
    stars(line, find(line, false))
}

/// As [`hidden`], of a text for people, which may speak about passwords: only what stands in URLs.
#[must_use]
pub fn hidden_in_urls(text: &str) -> Cow<'_, str> {
    stars(text, find(text, true))
}

fn stars(text: &str, found: Vec<Range<usize>>) -> Cow<'_, str> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut hidden = text.to_owned();
    for range in found {
        hidden.replace_range(range.clone(), &"*".repeat(range.len()));
    }
    Cow::Owned(hidden)
}

/// Where in a text that is about something else, such as a line of a file, credentials stand.
fn find(text: &str, only_urls: bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("://") {
        let from = at + 3;
        let rest = &text[from..];
        let authority = &rest[..rest.find(|c: char| c.is_whitespace() || "/?#\"'`,".contains(c)).unwrap_or(rest.len())];
        if let Some(length) = authority.rfind('@').filter(|length| *length > 0) {
            found.push(from..from + length);
        }
    }
    for (at, mark) in text.char_indices().filter(|(_, c)| matches!(c, '=' | ':')) {
        let before = text[..at].trim_end_matches(['"', '\'']);
        let from = before.rfind(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.' | '/')).map_or(0, |last| last + char_at(before, last));
        let (name, in_query) = (&before[from..], text[..from].ends_with(['?', '&']));
        if !(!only_urls && is_name(name) || in_query && mark == '=' && is_parameter(name)) {
            continue;
        }
        let start = at + mark.len_utf8();
        let value = value_at(text, start);
        if !value.is_empty() && !is_place(&text[value.clone()]) {
            found.push(value);
        }
    }
    found
}

fn char_at(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(1, char::len_utf8)
}

/// The value that begins at or soon after `start`, without quotes; nothing for a map or an expression.
fn value_at(text: &str, start: usize) -> Range<usize> {
    let rest = &text[start..];
    let from = start + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
    let rest = &text[from..];
    if rest.starts_with(['{', '[', '*', '&', '|', '>']) || rest.starts_with("${{") {
        return from..from;
    }
    if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let inner = &rest[1..];
        return from + 1..from + 1 + inner.find([quote, '\n']).unwrap_or(inner.len());
    }
    let end = |text: &str| text.find(|c: char| c.is_whitespace() || ",&}]`\"'".contains(c)).unwrap_or(text.len());
    let mut length = end(rest);
    // A scheme's name is no secret; what follows it is.
    if ["bearer", "basic", "digest", "token"].contains(&&*rest[..length].to_ascii_lowercase()) {
        let more = &rest[length..];
        let gap = more.len() - more.trim_start_matches(' ').len();
        length += gap + end(&more[gap..]);
    }
    from..from + length
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_others() {
        for name in
            ["Authorization", "Proxy-Authorization", "DB_PASSWORD", "PGPASSWORD", "x-api-key", "token", "secret", "Set-Cookie", "aws.secret_key"]
        {
            assert!(is_name(name), "{name}");
        }
        for name in ["TOKEN_FILE", "tokens", "zone", "key", "secretary", "record", "instances", "password_hint", "client"] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn literal_credentials_are_found_where_they_stand() {
        let check = |value: Value, expected: &[&str]| {
            let found: Vec<String> = literals("with", &value)
                .iter()
                .map(|way| {
                    way.iter()
                        .map(|seg| match seg {
                            Seg::Key(key) => format!("/{key}"),
                            Seg::Index(index) => format!("/{index}"),
                        })
                        .collect()
                })
                .collect();
            assert_eq!(found, expected, "{value}");
        };
        check(json!({ "headers": { "Authorization": "Bearer x1", "Accept": "text/html" } }), &["/headers/Authorization"]);
        check(json!({ "headers": { "Authorization": { "secret": "env:A" } } }), &[]);
        check(json!({ "headers": { "Authorization": { "secret": "x1" } } }), &["/headers/Authorization"]);
        check(json!({ "headers": { "Authorization": "${{ steps.login.output.body }}" } }), &[]);
        check(json!({ "url": "https://ann:x1@shop.example.com/" }), &["/url"]);
        check(json!({ "url": "https://shop.example.com/?page=2&sig=x1" }), &["/url"]);
        check(json!({ "url": "https://shop.example.com/?page=2" }), &[]);
        check(json!({ "command": ["mysql", "--password=x1", "--host=db"] }), &["/command/1"]);
        check(json!({ "text": "the password: ask Ann" }), &[]);
    }

    #[test]
    fn what_quotes_a_file_hides_credentials_in_their_place() {
        let check = |text: &str, expected: &str| {
            assert_eq!(hidden(text), expected);
            assert_eq!(hidden(text).len(), text.len());
        };
        check("url: https://ann:x1@shop/health", "url: https://******@shop/health");
        check("get https://shop/?a=1&token=x1&b=2", "get https://shop/?a=1&token=**&b=2");
        check("headers: { Authorization: Bearer x1, a: b }", "headers: { Authorization: *********, a: b }");
        check("  password: \"a b\" # old", "  password: \"***\" # old");
        check("{\"token\":\"x1\"}", "{\"token\":\"**\"}");
        check("token: { secret: env:TOKEN }", "token: { secret: env:TOKEN }");
        check("token: ${{ vars.token }}", "token: ${{ vars.token }}");
        check("密码 password: 密", "密码 password: ***");
        check("failover: { runbook: a.yaml }", "failover: { runbook: a.yaml }");
        assert_eq!(hidden_in_urls("token: expected a text, found https://a:b@c/?key=d"), "token: expected a text, found https://***@c/?key=*");
    }
}
