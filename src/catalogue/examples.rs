//! How each word is written, for people and for tests: the [`Action::EXAMPLE`](crate::engine::action::Action::EXAMPLE) of its author.

/// The lines of an example, without empty ones around them and without the indentation that all of them have.
#[must_use]
pub fn lines(example: &'static str) -> Vec<&'static str> {
    let lines: Vec<&str> = example.trim().lines().collect();
    // The first line lost its indentation by the trimming.
    let indentation = lines.iter().skip(1).map(|line| line.len() - line.trim_start().len()).min().unwrap_or_default();
    lines.iter().enumerate().map(|(number, line)| if number == 0 { *line } else { &line[indentation..] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_on_one_line_or_on_several() {
        assert_eq!(lines("{ for: 30s }"), ["{ for: 30s }"]);
        assert_eq!(lines("\n        of:\n          a: 1\n        good: any\n    "), ["of:", "  a: 1", "good: any"]);
        assert_eq!(lines("\n        { a: 1 }\n    "), ["{ a: 1 }"]);
        assert!(lines("").is_empty());
    }
}
