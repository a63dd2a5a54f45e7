//! The secrets that this process has read, and how they are kept out of everything that others read: journal, reports, terminal, errors, panics.
//!
//! Whoever reads a secret [`keep`]s it here before using it; whatever leaves the process as text goes through [`masked`]. It does not matter then what a
//! service, a command or a library makes of the secret before it says it: an error that quotes a URL, a program that prints its environment.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use super::skeleton::{Skeleton, base32, skeleton, unescaped};
use crate::model::credentials;

/// What stands in the place of a secret.
pub const MASK: &str = "***";
/// Shorter ones are not masked: they are no secrets, and every text would be full of holes.
const SHORTEST: usize = 4;
/// So much of the beginning of a secret, at the end of a text that was cut, is masked too.
const BEGINNING: usize = 8;
/// How many letters a skeleton is found by.
const START: usize = 4;
/// Shorter skeletons would be found in everything.
const SHORTEST_SKELETON: usize = 8;
/// What may stand in a URL as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

static KNOWN: RwLock<Known> = RwLock::new(Known::new());

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

/// All forms in which the secrets may turn up.
#[derive(Debug, Default)]
struct Known {
    /// As they are written, the longest first, so that no part of one is left over.
    forms: Vec<String>,
    /// As [`Skeleton`]s, by their first letters, the longest first.
    skeletons: BTreeMap<[u8; START], Vec<Vec<u8>>>,
}

impl Known {
    const fn new() -> Self {
        Self { forms: Vec::new(), skeletons: BTreeMap::new() }
    }

    fn add(&mut self, secret: &str) {
        for text in parts(secret) {
            if text.chars().count() < SHORTEST {
                continue;
            }
            self.forms.extend(forms(&text));
            for bare in skeletons(&text) {
                let Some(start) = bare.first_chunk::<START>() else { continue };
                let alike = self.skeletons.entry(*start).or_default();
                if !alike.contains(&bare) {
                    alike.push(bare);
                    alike.sort_by_key(|bare| std::cmp::Reverse(bare.len()));
                }
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
        if self.skeletons.is_empty() {
            return masked;
        }
        for read in [skeleton, unescaped] {
            let found = self.found(&read(&masked));
            if !found.is_empty() {
                let mut text = masked.into_owned();
                found.into_iter().rev().for_each(|range| text.replace_range(range, MASK));
                masked = Cow::Owned(text);
            }
        }
        masked
    }

    /// Where secrets stand in a text by its skeleton, in order and apart.
    fn found(&self, bare: &Skeleton) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut at = 0;
        while let Some(start) = bare.letters[at..].first_chunk::<START>() {
            let rest = &bare.letters[at..];
            let hit = self.skeletons.get(start).into_iter().flatten().find_map(|form| {
                let is_cut = rest.len() >= 2 * BEGINNING && form.starts_with(rest);
                (rest.starts_with(form) || is_cut).then_some(form.len().min(rest.len()))
            });
            let Some(length) = hit else {
                at += 1;
                continue;
            };
            let range = bare.places[at].start..bare.places[at + length - 1].end;
            match found.last_mut() {
                // Two letters that one escape stands for share its place.
                Some(last) if range.start < last.end => last.end = range.end,
                _ => found.push(range),
            }
            at += length;
        }
        found
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

/// The skeletons of all that one text may be encoded as: itself, and inside of something longer in base64, base32, hex and decimal numbers. Escapes and quotes of every kind,
/// breaks of lines and blanks are no part of a skeleton, nor is it told from it whether a letter was large.
fn skeletons(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes().to_vec();
    // As PowerShell encodes it.
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut encoded = vec![text.to_owned()];
    for bytes in [bytes, wide] {
        encoded.push(hex::encode(&bytes));
        // As libraries print a list of bytes: `[115, 51, …]`.
        encoded.push(bytes.iter().map(u8::to_string).collect());
        for shift in 0..3 {
            let shifted = [vec![0; shift], bytes.clone()].concat();
            encoded.push(STANDARD.encode(&shifted)[(shift * 8).div_ceil(6)..shifted.len() * 8 / 6].to_owned());
        }
        for shift in 0..5 {
            let shifted = [vec![0; shift], bytes.clone()].concat();
            encoded.push(base32(&shifted)[(shift * 8).div_ceil(5)..shifted.len() * 8 / 5].to_owned());
        }
    }
    let bare = encoded.iter().flat_map(|text| [skeleton(text).letters, unescaped(text).letters]);
    bare.filter(|bare| bare.len() >= SHORTEST_SKELETON).collect()
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
    fn a_secret_is_masked_however_it_is_escaped_wrapped_or_encoded() {
        let wrapped = |text: &str, every: usize, with: &str| {
            text.as_bytes().chunks(every).map(|part| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>().join(with)
        };
        for secret in ["s3cr3t/K\"y+one & 'two' <three>", "p\u{e4}ssw\u{f6}rd-f\u{fc}r-alle", "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789/+=="] {
            let known = known(secret);
            let json = Value::from(secret).to_string();
            let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;");
            let wide: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let written: Vec<String> = vec![
                secret.to_uppercase(),
                secret.to_lowercase(),
                html.replace('&', "&amp;"),
                html,
                secret.chars().map(|c| format!("&#x{:X};", u32::from(c))).collect(),
                Value::from(json.clone()).to_string(),
                Value::from(Value::from(json).to_string()).to_string(),
                secret.chars().map(|c| if c.is_ascii_punctuation() || c == ' ' { format!("\\{c}") } else { c.to_string() }).collect(),
                format!("'{}'", secret.replace('\'', r"'\''")),
                utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string().replace('%', "%25"),
                secret.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
                secret.bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
                secret.bytes().map(|byte| format!("0x{byte:02x}, ")).collect(),
                secret.bytes().map(|byte| format!("{byte:02X} ")).collect(),
                secret.bytes().map(|byte| format!("{byte:02x}:")).collect(),
                format!("{:?}", secret.as_bytes()),
                wrapped(&STANDARD.encode(format!("user: {secret}")), 19, "\n"),
                Value::from(wrapped(&STANDARD.encode(secret), 12, "\r\n")).to_string(),
                base32(secret.as_bytes()),
                wrapped(&base32(format!("ann:{secret}").as_bytes()).to_lowercase(), 16, " "),
                STANDARD.encode(&wide),
                secret.chars().map(|c| format!("{c}\u{200b}")).collect(),
            ];
            for text in written {
                let masked = known.masked(&format!("it said {text} and ended")).into_owned();
                assert!(masked.contains(MASK) && masked.len() < 60, "{text} became {masked}");
            }
        }
    }

    #[test]
    fn other_words_are_left_alone() {
        let known = known("correct-horse-battery");
        for text in ["the correct horse ran", r"2026-11-30T04:05:06Z i-0123456789abcdef0 %20 \n &amp; 0x", "correct", "", "实验 \u{1f6df}"] {
            assert_eq!(known.masked(text), text);
        }
        assert_eq!(known.masked("实验 CORRECT HORSE BATTERY 完"), "实验 *** 完", "what is around it stays whole");
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
