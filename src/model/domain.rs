//! Domain names as people and the two clouds write them, and the one form in which they are compared: whole, in lower case, international labels
//! in their `xn--` form, without the final dot, `*` for a wildcard.

/// The longest name, in characters without its final dot.
const LONGEST: usize = 253;
/// The longest label.
const LONGEST_LABEL: usize = 63;

/// The one form of a whole name, however it is written: `Shop.Example.COM.`, `例子.cn`, `\052.example.com`.
///
/// # Errors
/// Why `text` is no name, in words.
pub fn canonical(text: &str) -> Result<String, String> {
    let wrong = |why: &str| format!("`{}` is no domain name: {why}", text.chars().take(80).collect::<String>());
    let plain = unescaped(text.trim());
    let name = if plain.is_ascii() {
        plain.to_ascii_lowercase()
    } else {
        idna::domain_to_ascii(&plain).map_err(|_| wrong("it has characters that no name can have"))?
    };
    let name = name.strip_suffix('.').unwrap_or(&name);
    if name.is_empty() || name.split('.').any(str::is_empty) {
        return Err(wrong("a label is empty"));
    }
    if name.len() > LONGEST {
        return Err(wrong("it is longer than 253 characters"));
    }
    if name.split('.').any(|label| label.len() > LONGEST_LABEL) {
        return Err(wrong("a label is longer than 63 characters"));
    }
    if name.contains(|c: char| c.is_ascii_whitespace() || c.is_ascii_control() || c == '/') {
        return Err(wrong("it has characters that no name can have"));
    }
    Ok(name.to_owned())
}

/// The whole name that `record` means in `zone` (canonical): relative (`shop`), whole (`shop.example.com`, with or without final dot), or the zone
/// itself (`@`, nothing).
///
/// # Errors
/// When it is no name, or a whole one of another zone.
pub fn within(zone: &str, record: &str) -> Result<String, String> {
    let record = record.trim();
    if matches!(record, "" | "@") {
        return Ok(zone.to_owned());
    }
    let name = canonical(record)?;
    if is_in(&name, zone) {
        return Ok(name);
    }
    if record.ends_with('.') {
        return Err(format!("`{record}` is not in the zone `{zone}`; without its final dot it would be `{name}.{zone}`"));
    }
    canonical(&format!("{name}.{zone}"))
}

/// Whether a canonical name is the zone or below it.
#[must_use]
pub fn is_in(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// A canonical name as it is written inside its zone: `shop`, or `@` for the zone itself.
#[must_use]
pub fn relative<'a>(name: &'a str, zone: &str) -> &'a str {
    match name.strip_suffix(zone) {
        Some("") => "@",
        Some(rest) => rest.trim_end_matches('.'),
        None => name,
    }
}

/// The name itself and those above it, below the zone, the longest first: where a part of the zone can be handed to other servers.
pub fn above<'a>(name: &'a str, zone: &'a str) -> impl Iterator<Item = &'a str> {
    let up = |name: &&'a str| name.split_once('.').map(|(_, parent)| parent);
    std::iter::successors(Some(name), up).take_while(move |name| *name != zone && is_in(name, zone))
}

/// The key under which an environment's `zones` are looked up: a name in its one form; an id (which has no dot) as it is, without Route 53's
/// `/hostedzone/`.
#[must_use]
pub fn zone_key(zone: &str) -> String {
    let zone = zone.trim();
    let id = zone.strip_prefix("/hostedzone/").unwrap_or(zone);
    if id.contains(['.', '。']) { canonical(id).unwrap_or_else(|_| id.to_ascii_lowercase()) } else { id.to_owned() }
}

/// Route 53 writes what is not a letter, digit, `-` or `_` as `\` and three octal digits. What can be written plainly is.
fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let byte = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match byte.map(char::from).filter(|c| c.is_ascii_graphic() && !matches!(c, '.' | '\\')) {
            Some(c) => {
                plain.push(c);
                rest = &rest[at + 4..];
            }
            None => {
                plain.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_a_name_is_one() {
        for (written, one) in [
            ("Shop.Example.COM.", "shop.example.com"),
            (" shop.example.com ", "shop.example.com"),
            ("\\052.example.com.", "*.example.com"),
            ("*.Example.com", "*.example.com"),
            ("例子.cn", "xn--fsqu00a.cn"),
            ("XN--FSQU00A.cn.", "xn--fsqu00a.cn"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("_dmarc.example.com", "_dmarc.example.com"),
            ("a\\056b.example.com", "a\\056b.example.com"),
        ] {
            assert_eq!(canonical(written).as_deref(), Ok(one), "{written}");
        }
        for wrong in ["", ".", "shop..example.com", ".example.com", "a b.example.com", "http://example.com", &"a".repeat(64), &"a.".repeat(130)] {
            assert!(canonical(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn records_are_relative_or_whole() {
        let check = |record: &str, name: Result<&str, ()>| assert_eq!(within("example.com", record).as_deref().map_err(|_| ()), name, "{record}");
        check("shop", Ok("shop.example.com"));
        check("Shop.", Err(()));
        check("shop.example.com", Ok("shop.example.com"));
        check("shop.example.com.", Ok("shop.example.com"));
        check("@", Ok("example.com"));
        check("", Ok("example.com"));
        check("example.com.", Ok("example.com"));
        check("*", Ok("*.example.com"));
        check("\\052.w", Ok("*.w.example.com"));
        check("shop.example.net.", Err(()));
        check("myexample.com", Ok("myexample.com.example.com"));
        assert_eq!(relative("shop.example.com", "example.com"), "shop");
        assert_eq!(relative("example.com", "example.com"), "@");
        assert_eq!(above("a.b.example.com", "example.com").collect::<Vec<_>>(), ["a.b.example.com", "b.example.com"]);
        assert_eq!(above("example.com", "example.com").count(), 0);
    }

    #[test]
    fn zones_are_looked_up_by_name_or_id() {
        assert_eq!(zone_key("Example.COM."), "example.com");
        assert_eq!(zone_key("例子.cn"), zone_key("xn--fsqu00a.cn"));
        assert_eq!(zone_key("/hostedzone/Z0ABC"), "Z0ABC");
        assert_eq!(zone_key("Z0ABC"), "Z0ABC");
    }
}
