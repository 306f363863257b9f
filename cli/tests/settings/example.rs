//! The example file and the committed schema.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use toll_cli::config::{Config, schema};

pub(crate) const EXAMPLE: &str = include_str!("../../../toll.example.toml");

/// The example with the lines uncommented that begin with `marker`.
fn uncommented(text: &str, marker: &str) -> String {
    let line = |line: &str| {
        let setting = line.strip_prefix(marker).filter(|rest| {
            rest.split_once(" = ").is_some_and(|(name, _)| {
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            })
        });
        setting.unwrap_or(line).to_owned() + "\n"
    };
    text.lines().map(line).collect()
}

fn parse(text: &str) -> Config {
    Config::parse(text, Path::new("")).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The paths of all settings, `routes.price` for that of each of `[[routes]]`.
pub(crate) fn settings() -> BTreeSet<String> {
    fn walk(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
        let nested = [Some(schema), schema.get("items")]
            .into_iter()
            .flatten()
            .find_map(|schema| schema.get("properties")?.as_object());
        match nested {
            Some(properties) => {
                for (name, schema) in properties {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(schema, &path, found);
                }
            }
            None => assert!(found.insert(path.to_owned()), "{path}"),
        }
    }
    let mut found = BTreeSet::new();
    walk(&schema(), "", &mut found);
    found
}

/// The paths of all values in a file.
fn values(table: &toml::Table) -> BTreeSet<String> {
    fn walk(value: &toml::Value, path: &str, found: &mut BTreeSet<String>) {
        match value {
            toml::Value::Table(table) => {
                for (name, value) in table {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(value, &path, found);
                }
            }
            toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
                items.iter().for_each(|item| walk(item, path, found));
            }
            _ => {
                found.insert(path.to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&toml::Value::Table(table.clone()), "", &mut found);
    found
}

#[test]
fn the_example_works_as_it_is_and_with_every_line_uncommented() {
    parse(EXAMPLE);
    let whole = uncommented(&uncommented(EXAMPLE, "# "), "#- ");
    parse(&whole);
    let left: Vec<_> = whole.lines().filter(|line| line.starts_with("#- ")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_example_shows_every_setting_and_no_other() {
    let whole = uncommented(&uncommented(EXAMPLE, "# "), "#- ");
    assert_eq!(values(&whole.parse().unwrap()), settings());
}

#[test]
fn the_defaults_that_the_example_shows_are_the_defaults() {
    let shown = parse(&uncommented(EXAMPLE, "# "));
    assert_eq!(toml::to_string(&shown).unwrap(), toml::to_string(&parse(EXAMPLE)).unwrap());
}

#[test]
fn what_the_example_shows_as_off_has_no_default() {
    let off: toml::Table = uncommented(EXAMPLE, "#- ").parse().unwrap();
    let on: toml::Table = EXAMPLE.parse().unwrap();
    let effective: toml::Table = toml::to_string(&parse(EXAMPLE)).unwrap().parse().unwrap();
    for setting in values(&off).difference(&values(&on)) {
        assert!(!values(&effective).contains(setting), "{setting} has a default");
    }
}

#[test]
fn every_line_of_the_example_fits_a_screen() {
    for line in EXAMPLE.lines() {
        assert!(line.chars().count() <= 130, "{line}");
    }
}

#[test]
fn the_committed_schema_is_the_schema() {
    let committed: Value = serde_json::from_str(include_str!("../../../toll.schema.json")).unwrap();
    assert_eq!(committed, schema(), "run `toll serve --schema > toll.schema.json`");
}

#[test]
fn every_setting_is_described() {
    fn walk(schema: &Value, path: &str) {
        assert!(path.is_empty() || schema.get("description").is_some(), "{path} has no doc comment");
        let items = schema.get("items").unwrap_or(&Value::Null);
        for properties in [schema, items].iter().filter_map(|schema| schema.get("properties")?.as_object()) {
            properties.iter().for_each(|(name, schema)| walk(schema, &format!("{path}.{name}")));
        }
    }
    walk(&schema(), "");
}
