//! The part of SVG that the pictures need. The pictures are files beside the report: without scripts, embedded images and fonts of their own.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use crate::model::plain;

/// Chinese first: without it a viewer may take Japanese glyphs.
const FONTS: &str = "'Noto Sans CJK SC','Noto Sans SC','PingFang SC','Microsoft YaHei','WenQuanYi Micro Hei',system-ui,sans-serif";
pub(super) const INK: &str = "#1f2328";
pub(super) const FAINT: &str = "#57606a";
pub(super) const RULE: &str = "#d0d7de";
pub(super) const ALARM: &str = "#b3261e";

/// Where a text stands to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextAnchor {
    Start,
    Middle,
    End,
}

/// A picture under construction. Coordinates are in pixels from the upper left, in tenths.
#[derive(Debug)]
pub(super) struct Svg {
    out: String,
}

impl Svg {
    /// A white page with a title for readers who cannot see it.
    pub(super) fn new(width: u32, height: u32, title: &str, description: &str) -> Self {
        let mut out = String::with_capacity(8 * 1024);
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-labelledby=\"t d\" \
             font-family=\"{FONTS}\" font-size=\"12\">\n<title id=\"t\">{}</title>\n<desc id=\"d\">{}</desc>\n\
             <defs><pattern id=\"down\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
             <rect width=\"8\" height=\"8\" fill=\"#f6d5d2\"/><path d=\"M0 0V8\" stroke=\"{ALARM}\" stroke-width=\"3\"/></pattern></defs>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n",
            escape(title),
            escape(description)
        );
        Self { out }
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: TextAnchor, size: u32, color: &str, text: &str) {
        self.styled((x, y), anchor, size, color, "400", text);
    }

    pub(super) fn bold(&mut self, (x, y): (f64, f64), anchor: TextAnchor, size: u32, color: &str, text: &str) {
        self.styled((x, y), anchor, size, color, "600", text);
    }

    fn styled(&mut self, (x, y): (f64, f64), anchor: TextAnchor, size: u32, color: &str, weight: &str, text: &str) {
        let anchor = match anchor {
            TextAnchor::Start => "start",
            TextAnchor::Middle => "middle",
            TextAnchor::End => "end",
        };
        let _ = writeln!(
            self.out,
            "<text x=\"{}\" y=\"{}\" fill=\"{color}\" text-anchor=\"{anchor}\" font-size=\"{size}\" font-weight=\"{weight}\">{}</text>",
            number(x),
            number(y),
            escape(text)
        );
    }

    pub(super) fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str) {
        let _ = writeln!(
            self.out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{fill}\"/>",
            number(x),
            number(y),
            number(width),
            number(height)
        );
    }

    /// A vertical line.
    pub(super) fn rule(&mut self, x: f64, (from, to): (f64, f64), color: &str, dashed: bool) {
        let style = if dashed { " stroke-width=\"2\" stroke-dasharray=\"5 3\"" } else { "" };
        let _ = writeln!(self.out, "<path d=\"M{x} {}V{}\" stroke=\"{color}\"{style}/>", number(from), number(to), x = number(x));
    }

    /// A line through all of `points`.
    pub(super) fn line(&mut self, points: &[(f64, f64)], color: &str, width: u32) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
        let _ = writeln!(self.out, "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\"/>", points.join(" "));
    }

    /// The area inside `points`.
    pub(super) fn area(&mut self, points: &[(f64, f64)], fill: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
        let _ = writeln!(self.out, "<polygon points=\"{}\" fill=\"{fill}\"/>", points.join(" "));
    }

    /// A small triangle whose tip points down to `(x, y)`.
    pub(super) fn pointer(&mut self, (x, y): (f64, f64), color: &str) {
        let _ = writeln!(
            self.out,
            "<path d=\"M{} {}L{} {}L{} {}Z\" fill=\"{color}\"/>",
            number(x),
            number(y),
            number(x - 4.0),
            number(y - 7.0),
            number(x + 4.0),
            number(y - 7.0)
        );
    }

    pub(super) fn finish(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }
}

/// About how wide a text will be: what a viewer's font makes of it is not known.
pub(super) fn width_of(text: &str, size: u32) -> f64 {
    let columns = u32::try_from(text.width()).unwrap_or(u32::MAX);
    f64::from(columns) * f64::from(size) * 0.55
}

/// Tenths are enough, and always the same.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    plain::shown(&out).into_owned()
}
