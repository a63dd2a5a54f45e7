//! The secrets that this process has read, and how they are kept out of everything that others read: journal, reports, terminal, errors, panics.
//!
//! Whoever reads a secret [`keep`]s it here before using it; whatever leaves the process as text goes through [`masked`]. It does not matter then what a
//! service, a command or a library makes of the secret before it says it: an error that quotes a URL, a program that prints its environment.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use crate::model::credentials;

/// What stands in the place of a secret.
pub const MASK: &str = "***";
/// Shorter ones are not masked: they are no secrets, and every text would be full of holes.
const SHORTEST: usize = 4;
/// So much of the beginning of a secret, at the end of a text that was cut, is masked too.
const BEGINNING: usize = 8;
/// What may stand in a URL as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

static KNOWN: RwLock<Known> = RwLock::new(Known { forms: Vec::new() });

/// From now on `secret` is masked, and what can be read out of it: credentials of a URL, the token behind `Bearer`, each line of a longer one.
pub fn keep(secret: &str) {
    // A list of texts is whole after any panic.
    let is_known = KNOWN.read().unwrap_or_else(PoisonError::into_inner).forms.iter().any(|form| form == secret);
    if !is_known {
        KNOWN.write().unwrap_or_else(PoisonError::into_inner).add(secret);
    }
}

/// `text` without any secret.
#[must_use]
pub fn masked(text: &str) -> Cow<'_, str> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).masked(text)
}

/// Takes every secret out of `text`.
pub fn mask(text: &mut String) {
    if let Cow::Owned(masked) = masked(text) {
        *text = masked;
    }
}

/// Takes every secret out of the texts of `value`, and out of its keys.
pub fn mask_value(value: &mut Value) {
    match value {
        Value::String(text) => mask(text),
        Value::Array(items) => items.iter_mut().for_each(mask_value),
        Value::Object(map) => {
            map.values_mut().for_each(mask_value);
            if map.keys().any(|key| matches!(masked(key), Cow::Owned(_))) {
                *map = std::mem::take(map).into_iter().map(|(key, value)| (masked(&key).into_owned(), value)).collect();
            }
        }
        _ => {}
    }
}

/// Whether a secret stands somewhere in `value`.
#[must_use]
pub fn are_in(value: &Value) -> bool {
    match value {
        Value::String(text) => matches!(masked(text), Cow::Owned(_)),
        Value::Array(items) => items.iter().any(are_in),
        Value::Object(map) => map.iter().any(|(key, value)| matches!(masked(key), Cow::Owned(_)) || are_in(value)),
        _ => false,
    }
}

/// All forms in which the secrets may turn up, the longest first, so that no part of one is left over.
#[derive(Debug, Default)]
struct Known {
    forms: Vec<String>,
}

impl Known {
    fn add(&mut self, secret: &str) {
        for text in parts(secret) {
            if text.chars().count() >= SHORTEST {
                self.forms.extend(forms(&text));
            }
        }
        self.forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.forms.dedup();
    }

    fn masked<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut masked = Cow::Borrowed(text);
        for form in &self.forms {
            if masked.contains(form.as_str()) {
                masked = Cow::Owned(masked.replace(form.as_str(), MASK));
            }
        }
        for form in &self.forms {
            while let Some(cut) = cut_off(&masked, form) {
                let mut text = masked.into_owned();
                text.replace_range(cut, MASK);
                masked = Cow::Owned(text);
            }
        }
        masked
    }
}

/// Where the beginning of `form` stands at the end of `text`, or before the dots of something that was shortened.
fn cut_off(text: &str, form: &str) -> Option<std::ops::Range<usize>> {
    let (end, _) = form.char_indices().nth(BEGINNING)?;
    if !text.contains(&form[..end]) {
        return None;
    }
    let begins = text.match_indices(&form[..end]).map(|(at, _)| at);
    begins.map(|at| at..text[at..].find('…').map_or(text.len(), |dots| at + dots)).find(|range| form.starts_with(&text[range.clone()]))
}

/// The secret and what can be read out of it.
fn parts(secret: &str) -> Vec<String> {
    let mut parts = vec![secret.to_owned()];
    parts.extend(secret.lines().filter(|line| line.len() >= 2 * BEGINNING).map(str::to_owned));
    if let Some((scheme, token)) = secret.split_once(' ').filter(|(_, token)| !token.contains(' ')) {
        parts.push(token.to_owned());
        if scheme.eq_ignore_ascii_case("basic")
            && let Ok(pair) = STANDARD.decode(token)
            && let Some((_, password)) = String::from_utf8_lossy(&pair).split_once(':')
        {
            parts.push(password.to_owned());
        }
    }
    if let Ok(url) = Url::parse(secret)
        && url.has_host()
    {
        parts.push(url.as_str().to_owned());
        parts.extend(credentials::in_url(&url));
        parts.extend(url.query_pairs().filter(|(_, value)| value.len() >= BEGINNING).map(|(_, value)| value.into_owned()));
        parts.extend(url.password().map(str::to_owned));
    }
    parts
}

/// How one text may be written.
fn forms(text: &str) -> Vec<String> {
    let escaped = Value::from(text).to_string();
    let hex = hex::encode(text);
    let mut forms = vec![text.to_owned(), escaped[1..escaped.len() - 1].to_owned(), hex.to_uppercase(), hex];
    for as_they_are in [UNRESERVED, NON_ALPHANUMERIC] {
        let percent = utf8_percent_encode(text, as_they_are).to_string();
        forms.extend([lower(&percent), percent]);
    }
    // In the middle of something longer it begins at one of three places of a group; what its neighbours have a part in is left out.
    for shift in 0..3 {
        let bytes = [&[0; 3][..shift], text.as_bytes()].concat();
        let encoded = STANDARD.encode(&bytes);
        let own = &encoded[(shift * 8).div_ceil(6)..bytes.len() * 8 / 6];
        if own.len() >= SHORTEST {
            forms.push(own.replace('+', "-").replace('/', "_"));
            forms.push(own.to_owned());
        }
    }
    forms
}

/// Percent-encoding with small digits.
fn lower(percent: &str) -> String {
    let mut digits = 0_u8;
    let small = |c: char| {
        let is_digit = digits > 0;
        digits = if c == '%' { 2 } else { digits.saturating_sub(1) };
        if is_digit { c.to_ascii_lowercase() } else { c }
    };
    percent.chars().map(small).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(secret: &str) -> Known {
        let mut known = Known::default();
        known.add(secret);
        known
    }

    #[test]
    fn a_secret_is_masked_in_every_usual_writing() {
        let (secret, known) = ("s3cr3t/K\"y+one", known("s3cr3t/K\"y+one"));
        let written = [
            secret.to_owned(),
            Value::from(secret).to_string(),
            utf8_percent_encode(secret, UNRESERVED).to_string(),
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
            utf8_percent_encode(secret, UNRESERVED).to_string().replace("%2F", "%2f").replace("%2B", "%2b"),
            hex::encode(secret),
            hex::encode_upper(secret),
            STANDARD.encode(secret),
            STANDARD.encode(format!("ann:{secret}")),
            STANDARD.encode(format!("bob1:{secret}!")),
            STANDARD.encode(format!("carla:{secret}")),
        ];
        for text in written {
            let masked = known.masked(&text).into_owned();
            assert!(masked.contains(MASK) && masked.len() < MASK.len() + 14, "{text} became {masked}");
        }
        assert_eq!(known.masked("nothing of it"), "nothing of it");
    }

    #[test]
    fn what_a_secret_is_made_of_is_masked_too() {
        let url = known("http://ann:p%40ssw0rd@shop.example.com/health?token=t0k3n-one&page=12345678");
        for part in ["p@ssw0rd", "p%40ssw0rd", "t0k3n-one", "12345678"] {
            assert_eq!(url.masked(&format!("<{part}>")), format!("<{MASK}>"));
        }
        assert_eq!(url.masked("shop.example.com: refused"), "shop.example.com: refused");
        assert_eq!(known("Bearer abc.def").masked("got abc.def"), "got ***");
        assert_eq!(known(&format!("Basic {}", STANDARD.encode("ann:pass-word"))).masked("pass-word"), MASK);
        assert_eq!(known("-----BEGIN KEY-----\nabcdefghijklmnopqrstuvwxyz\n-----END KEY-----").masked("abcdefghijklmnopqrstuvwxyz"), MASK);
    }

    #[test]
    fn what_was_cut_is_masked_as_far_as_it_goes() {
        let known = known("abcdefghijklmnop");
        assert_eq!(known.masked("was abcdefghij…, expected"), "was ***…, expected");
        assert_eq!(known.masked("was abcdefghij"), "was ***");
        assert_eq!(known.masked("was abcdefghij, expected"), "was abcdefghij, expected", "that is another word");
        assert_eq!(known.masked("was abcdefg"), "was abcdefg", "too little to tell");
    }

    #[test]
    fn what_is_too_short_is_no_secret() {
        assert_eq!(known("on").masked("on and on"), "on and on");
    }
}
