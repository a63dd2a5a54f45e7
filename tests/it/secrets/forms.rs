//! How a secret may be written, worked out apart from the product.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Every letter and digit as it is, every other byte as `%XX`.
pub(super) fn percent(text: &str) -> String {
    let byte = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}

/// As it is, in JSON, in URLs, in hex and in base64, there also as the part of something longer.
pub(super) fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap();
    let kept: String = percent(secret).replace("%2D", "-").replace("%2E", ".").replace("%5F", "_");
    let mut forms = vec![
        secret.to_owned(),
        json.trim_matches('"').to_owned(),
        percent(secret),
        percent(secret).to_lowercase(),
        kept,
        hex::encode(secret),
        hex::encode_upper(secret),
    ];
    for pad in 0..3 {
        // Three bytes make four characters: whole groups of the secret's own look the same whatever is around it.
        let inner = &secret.as_bytes()[(3 - pad) % 3..];
        let whole = &inner[..inner.len() / 3 * 3];
        forms.extend([STANDARD.encode(whole), URL_SAFE.encode(whole)]);
    }
    forms
}

#[test]
fn the_middle_of_base64_is_found_at_every_place() {
    let forms = forms("canary-one-two");
    for before in ["", "a", "ab", "abc"] {
        let whole = STANDARD.encode(format!("{before}canary-one-two, and more"));
        assert!(forms.iter().any(|form| whole.contains(form.as_str())), "{before}: {whole}");
    }
}
