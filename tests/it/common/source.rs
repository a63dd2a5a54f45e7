//! What the product is built of: the lines of a source file that `#[cfg(test)]` does not take out, and the files that are modules of tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const TEST: &str = "#[cfg(test)]";

/// The lines of `text` that the product is built of, with their numbers from 1. The text is formatted as rustfmt does: an item ends on its own line, or with a
/// line that closes it where it began.
pub(crate) fn product_lines(text: &str) -> Vec<(usize, &str)> {
    let (mut found, mut lines) = (Vec::new(), text.lines().enumerate());
    while let Some((index, line)) = lines.next() {
        if line.trim() != TEST {
            found.push((index + 1, line));
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let closes =
            |line: &str| line.strip_prefix(indent).is_some_and(|rest| rest.starts_with('}') || rest.starts_with(')') || rest.starts_with(']'));
        let mut is_open = false;
        for (_, line) in lines.by_ref() {
            let is_attribute = !is_open && line.trim_start().starts_with("#[");
            if is_attribute || is_open && !closes(line) {
                continue;
            }
            if line.ends_with(';') || line.ends_with('}') {
                break;
            }
            // A signature may go on for some lines before its body.
            is_open = true;
        }
    }
    found
}

/// The files, and the folders of files, that are modules of tests below `sources`.
pub(crate) fn test_modules<'a>(sources: impl IntoIterator<Item = &'a PathBuf>) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for file in sources {
        let text = std::fs::read_to_string(file).unwrap();
        let is_root = file.file_stem().is_some_and(|stem| ["mod", "lib", "main"].contains(&stem.to_str().unwrap_or_default()));
        let folder = if is_root { file.parent().unwrap().to_owned() } else { file.with_extension("") };
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[0] == TEST) {
            if let Some((_, name)) = pair[1].strip_suffix(';').and_then(|item| item.rsplit_once("mod ")) {
                found.extend([folder.join(name), folder.join(name).with_extension("rs")]);
            }
        }
    }
    found
}

/// Whether a file is one of these modules, or below one.
pub(crate) fn is_in(file: &Path, modules: &BTreeSet<PathBuf>) -> bool {
    file.ancestors().any(|path| modules.contains(path))
}

#[test]
fn what_tests_alone_are_built_of_is_left_out_and_nothing_else() {
    let text = "use a;\n#[cfg(test)]\nmod tests;\nfn b() {}\n#[cfg(test)]\nuse c::{C};\nimpl D {\n    #[cfg(test)]\n    #[allow(unused)]\n    pub(super) fn e(\n        x: u8,\n    ) -> u8 {\n        x\n    }\n    fn f() {}\n}\n#[cfg(test)]\nmod rules {\n    fn g() {}\n}\nfn h() {}\n";
    let lines: Vec<&str> = product_lines(text).into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, ["use a;", "fn b() {}", "impl D {", "    fn f() {}", "}", "fn h() {}"]);
    assert_eq!(product_lines(text)[1].0, 4);
}
