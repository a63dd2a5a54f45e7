//! What is left of a text when everything is taken away that may come to it between a secret and the one who quotes it: quotes, blanks, breaks of lines,
//! separators, the size of letters, and, in one of the two readings, escapes. Each letter knows where in the text it came from.

use std::ops::Range;

/// The letters and digits of a text, small, with their places.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Skeleton {
    pub(super) letters: Vec<u8>,
    pub(super) places: Vec<Range<usize>>,
}

/// How often escapes within escapes are read: JSON in JSON in a URL.
const DEEPEST: usize = 6;

/// A byte of a text, and the character or escape that it came from.
#[derive(Clone, Debug)]
struct Piece {
    byte: u8,
    place: Range<usize>,
}

/// The skeleton of a text as it stands.
pub(super) fn skeleton(text: &str) -> Skeleton {
    bare(pieces(text))
}

/// The skeleton of a text whose escapes are read: `%41`, `&amp;`, `\u0041`, `\x41`, `\n`, `0x41`, however deep.
pub(super) fn unescaped(text: &str) -> Skeleton {
    let mut pieces = pieces(text);
    for _ in 0..DEEPEST {
        let (read, is_changed) = once(&pieces);
        pieces = read;
        if !is_changed {
            break;
        }
    }
    bare(pieces)
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let place = at..at + c.len_utf8();
        pieces.extend(text[place.clone()].bytes().map(|byte| Piece { byte, place: place.clone() }));
    }
    pieces
}

fn bare(pieces: Vec<Piece>) -> Skeleton {
    let (bytes, places): (Vec<u8>, Vec<Range<usize>>) = pieces.into_iter().map(|piece| (piece.byte, piece.place)).unzip();
    let mut skeleton = Skeleton::default();
    let mut at = 0;
    // What escapes stand for may be no text.
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let (from, to) = (at, at + c.len_utf8());
            at = to;
            if c.is_alphanumeric() {
                let place = places[from].start..places[to - 1].end;
                for small in c.to_lowercase() {
                    let mut buffer = [0; 4];
                    for byte in small.encode_utf8(&mut buffer).bytes() {
                        skeleton.letters.push(byte);
                        skeleton.places.push(place.clone());
                    }
                }
            }
        }
        at += chunk.invalid().len();
    }
    skeleton
}

/// Reads every escape once.
fn once(pieces: &[Piece]) -> (Vec<Piece>, bool) {
    let mut read = Vec::with_capacity(pieces.len());
    let mut is_changed = false;
    let mut at = 0;
    while at < pieces.len() {
        match escape(&pieces[at..]) {
            Some((length, text)) => {
                let place = pieces[at].place.start..pieces[at + length - 1].place.end;
                read.extend(text.into_iter().map(|byte| Piece { byte, place: place.clone() }));
                is_changed = true;
                at += length;
            }
            None => {
                read.push(pieces[at].clone());
                at += 1;
            }
        }
    }
    (read, is_changed)
}

/// The escape that begins here: how long it is, and what it stands for.
fn escape(pieces: &[Piece]) -> Option<(usize, Vec<u8>)> {
    let byte = |at: usize| pieces.get(at).map(|piece| piece.byte);
    match byte(0)? {
        b'%' => Some((3, vec![u8::try_from(hex(pieces, 1, 2)?).ok()?])),
        // Digits are digits, whatever is written before them.
        b'0' if matches!(byte(1), Some(b'x' | b'X')) && hex(pieces, 2, 2).is_some() => Some((2, Vec::new())),
        b'\\' => {
            let slashes = slashes(pieces);
            match byte(slashes)? {
                b'u' => unit(pieces),
                b'x' => Some((slashes + 3, vec![u8::try_from(hex(pieces, slashes + 1, 2)?).ok()?])),
                b'n' | b'r' | b't' => Some((slashes + 1, vec![b' '])),
                _ => None,
            }
        }
        b'&' => entity(pieces),
        _ => None,
    }
}

/// How many backslashes stand here: each level of quoting doubles them.
fn slashes(pieces: &[Piece]) -> usize {
    pieces.iter().take_while(|piece| piece.byte == b'\\').count()
}

fn hex(pieces: &[Piece], from: usize, count: usize) -> Option<u32> {
    let digits = pieces.get(from..from + count)?;
    digits.iter().try_fold(0, |value, piece| Some(value << 4 | char::from(piece.byte).to_digit(16)?))
}

/// `\u0041`, or two of them for a character beyond the first plane.
fn unit(pieces: &[Piece]) -> Option<(usize, Vec<u8>)> {
    let one = |from: usize| {
        let at = from + slashes(pieces.get(from..)?);
        let value = (at > from && pieces.get(at)?.byte == b'u').then(|| hex(pieces, at + 1, 4)).flatten()?;
        Some((at + 5, u16::try_from(value).ok()?))
    };
    let (end, first) = one(0)?;
    let (end, units) = match one(end) {
        Some((far, second)) if (0xd800..0xdc00).contains(&first) => (far, vec![first, second]),
        _ => (end, vec![first]),
    };
    String::from_utf16(&units).ok().map(|text| (end, text.into_bytes()))
}

/// `&amp;`, `&#39;`, `&#x27;`.
fn entity(pieces: &[Piece]) -> Option<(usize, Vec<u8>)> {
    const LONGEST: usize = 12;
    let end = pieces.iter().take(LONGEST).position(|piece| piece.byte == b';')?;
    let name: String = pieces[1..end].iter().map(|piece| char::from(piece.byte)).collect();
    let text = match name.as_str() {
        "amp" => "&".to_owned(),
        "lt" => "<".to_owned(),
        "gt" => ">".to_owned(),
        "quot" => "\"".to_owned(),
        "apos" => "'".to_owned(),
        "nbsp" => " ".to_owned(),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?.to_string()
        }
    };
    Some((end + 1, text.into_bytes()))
}

/// Base32 as in RFC 4648, without what fills it up.
pub(super) fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let letter = |five: u32| char::from(LETTERS[(five & 31) as usize]);
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(held >> bits));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(letter(held << (5 - bits)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(skeleton: &Skeleton) -> String {
        String::from_utf8(skeleton.letters.clone()).unwrap()
    }

    #[test]
    fn base32_is_that_of_the_standard() {
        for (plain, encoded) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(base32(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn letters_know_where_they_came_from() {
        let text = r"x %41&amp;b \\u00e9!";
        let read = unescaped(text);
        assert_eq!(letters(&read), "xab\u{e9}");
        let of: Vec<&str> = read.places.iter().map(|place| &text[place.clone()]).collect();
        assert_eq!(of, ["x", "%41", "b", r"\\u00e9", r"\\u00e9"]);
        assert_eq!(letters(&skeleton(text)), "x41ampbu00e9");
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in ["%4", "%", "\\", r"\u12", "&", "&;", "&#;", "&#x110000;", "0x", r"\ud800 "] {
            assert_eq!(unescaped(text), skeleton(text), "{text}");
        }
        assert_eq!(letters(&unescaped("%ff%feok")), "ok");
        assert_eq!(letters(&unescaped(r"\ud83d\ude00 ok")), "ok");
    }
}
