//! What `Describe…` calls share: picking by id and by filter.

use std::collections::BTreeMap;

use super::Kind;
use crate::wire::aws_answer::ApiError;
use crate::wire::aws_query::Parameters;

/// Which things a call asks for.
pub(super) struct Selection<'a> {
    /// The list parameter that names ids, such as `InstanceId`.
    pub(super) ids: &'static str,
    pub(super) kind: &'static Kind,
    pub(super) parameters: &'a Parameters,
}

impl Selection<'_> {
    /// The things among `all` that have one of the ids asked for (every id must exist) and pass every filter.
    /// `attribute` gives a thing's values for a filter name, `None` for names that are no filter.
    ///
    /// # Errors
    /// The kind's id errors, `InvalidParameterValue` for a filter that does not exist.
    pub(super) fn pick<'s, T>(
        &self,
        all: impl Iterator<Item = &'s T>,
        id: impl Fn(&T) -> &str,
        attribute: impl Fn(&T, &str) -> Option<Vec<String>>,
    ) -> Result<Vec<&'s T>, ApiError> {
        let mut picked: Vec<&T> = all.collect();
        let ids = self.parameters.list(self.ids);
        for asked in &ids {
            self.kind.found(asked, picked.iter().find(|thing| id(thing) == *asked))?;
        }
        if !ids.is_empty() {
            picked.retain(|thing| ids.contains(&id(thing)));
        }
        for prefix in self.parameters.members("Filter") {
            let name = self.parameters.required(&format!("{prefix}.Name"))?;
            let wanted = self.parameters.list(&format!("{prefix}.Value"));
            let mut is_known = true;
            picked.retain(|thing| match attribute(thing, name) {
                Some(values) => values.iter().any(|value| wanted.iter().any(|pattern| matches(pattern, value))),
                None => {
                    is_known = false;
                    false
                }
            });
            if !is_known {
                return Err(ApiError::new("InvalidParameterValue", format!("The filter '{name}' is invalid")));
            }
        }
        Ok(picked)
    }
}

/// The values of the tag filters: `tag:KEY`, `tag-key`, `tag-value`.
pub(super) fn tag_attribute(tags: &BTreeMap<String, String>, name: &str) -> Option<Vec<String>> {
    match name {
        "tag-key" => Some(tags.keys().cloned().collect()),
        "tag-value" => Some(tags.values().cloned().collect()),
        _ => name.strip_prefix("tag:").map(|key| tags.get(key).cloned().into_iter().collect()),
    }
}

/// Whether a filter's pattern fits: `*` is any run of characters, `?` any one, a backslash takes the next as it is.
pub(super) fn matches(pattern: &str, value: &str) -> bool {
    let mut tokens: Vec<Option<char>> = Vec::new();
    let mut stars: Vec<bool> = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let (token, star) = match character {
            '*' => (None, true),
            '?' => (None, false),
            '\\' => (Some(characters.next().unwrap_or('\\')), false),
            other => (Some(other), false),
        };
        tokens.push(token);
        stars.push(star);
    }
    let value: Vec<char> = value.chars().collect();
    // Where to go on when the characters after the latest star do not fit: one character further.
    let (mut at, mut token, mut retry) = (0, 0, None);
    while at < value.len() {
        if token < tokens.len() && stars[token] {
            retry = Some((token + 1, at));
            token += 1;
        } else if token < tokens.len() && tokens[token].is_none_or(|want| want == value[at]) {
            token += 1;
            at += 1;
        } else if let Some((after_star, from)) = retry {
            retry = Some((after_star, from + 1));
            token = after_star;
            at = from + 1;
        } else {
            return false;
        }
    }
    stars[token..].iter().all(|star| *star)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_ec2_says() {
        for (pattern, value, fits) in [
            ("a", "a", true),
            ("a", "A", false),
            ("*", "", true),
            ("*", "anything", true),
            ("shop-*-1", "shop-aws-eu-1", true),
            ("shop-*-1", "shop-aws-2", false),
            ("*a*b*", "xxaxxbxx", true),
            ("?", "区", true),
            ("?", "", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("a*", "ba", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, value), fits, "{pattern} {value}");
        }
        assert!(!matches(&"*a".repeat(60), &"b".repeat(5000)));
    }
}
