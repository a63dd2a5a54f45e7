//! How each word is written, for people: what `lifeboat actions NAME` shows. The texts are in `examples.yaml`, as they would stand in a file.

const FILE: &str = include_str!("examples.yaml");

/// The parameters of a word as they are written below `with:`, of a probe or else of an action or a fault; each line without its indentation there.
#[must_use]
pub fn example(word: &str, is_probe: bool) -> Option<Vec<&'static str>> {
    let section = if is_probe { "probes:" } else { "actions:" };
    let mut lines = FILE.lines().skip_while(|line| *line != section).skip(1).take_while(|line| line.starts_with(' '));
    let first = lines.by_ref().find_map(|line| line.strip_prefix("  ")?.strip_prefix(word)?.strip_prefix(':'))?.trim();
    let rest = lines.map_while(|line| line.strip_prefix("    "));
    Some(Some(first).filter(|first| !first.is_empty()).into_iter().chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_on_one_line_or_on_several() {
        assert_eq!(example("wait", false).unwrap(), ["{ for: 30s }"]);
        assert_eq!(example("canary.mysql", true).unwrap().len(), 3);
        assert_ne!(example("exec", false), example("exec", true));
        assert_eq!(example("wait", true), None);
        assert_eq!(example("actions", false), None);
    }
}
