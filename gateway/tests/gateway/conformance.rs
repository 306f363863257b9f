//! `CONFORMANCE.md`: every rule of the drafts has a test that is there, or a reason.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

static TABLE: LazyLock<String> = LazyLock::new(|| {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CONFORMANCE.md")).expect("the table")
});

/// What the tables cover: the words before the numbers of their rows.
const PARTS: [&str; 6] = ["charge", "core", "discovery", "session", "solana-charge", "stream"];

/// A row: id, level, section, rule, evidence.
fn rows() -> Vec<[&'static str; 5]> {
    let is_row = |line: &&str| PARTS.iter().any(|part| line.starts_with(&format!("| {part}-")));
    let cells = |line: &'static str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        <[&str; 5]>::try_from(cells).unwrap_or_else(|cells| panic!("{cells:?} are not five cells"))
    };
    TABLE.lines().filter(is_row).map(cells).collect()
}

#[test]
fn rows_are_numbered_and_say_how_much_they_matter() {
    let mut last = BTreeMap::new();
    for [id, level, section, rule, _] in rows() {
        let (part, number) = id.rsplit_once('-').expect("a number");
        let before = last.insert(part, number.parse::<u32>().expect("a number")).unwrap_or(0);
        assert_eq!(last[part], before + 1, "{id}");
        assert!(matches!(level, "MUST" | "SHOULD"), "{id}: {level}");
        assert!(!section.is_empty() && !rule.is_empty(), "{id}");
    }
    assert_eq!(last.into_keys().collect::<Vec<_>>(), PARTS);
}

#[test]
fn every_row_names_tests_that_exist_or_says_why_it_has_none() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for [id, _, _, _, evidence] in rows() {
        if let Some(reason) =
            ["does not apply: ", "open: "].iter().find_map(|word| evidence.strip_prefix(word))
        {
            assert!(reason.len() > 3, "{id}");
            continue;
        }
        for test in evidence.split(", ") {
            let name = test.strip_prefix('`').and_then(|test| test.strip_suffix('`'));
            let (file, test) = name.and_then(|name| name.rsplit_once("::")).unwrap_or_else(|| {
                panic!("{id}: {test:?} is neither `file::test` nor a reason");
            });
            let text = std::fs::read_to_string(root.join(file))
                .unwrap_or_else(|error| panic!("{id}: {file}: {error}"));
            // Tables of tests have a row for each.
            let is_there = text.contains(&format!("fn {test}("))
                || text.lines().any(|line| line.trim_start().starts_with(&format!("{test}:")));
            assert!(is_there, "{id}: {file} has no test {test}");
        }
    }
}
