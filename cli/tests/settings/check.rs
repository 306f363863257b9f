//! `toll serve --check`: everything is found out, nothing is touched.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::example::EXAMPLE;

/// A folder with the example in it and the keys that it names.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for file in ["payee.json", "fee-payer.json"] {
            let made = place.toll(&["keygen", file]);
            assert!(made.status.success(), "{made:?}");
        }
        place.write(&Self::text());
        place
    }

    /// The example, with the addresses of the keys.
    fn text() -> String {
        let own = |line: &&str| !line.starts_with("payee = \"AK") && !line.starts_with("fee_payer = \"AK");
        EXAMPLE.lines().filter(own).map(|line| format!("{line}\n")).collect()
    }

    fn write(&self, text: &str) {
        std::fs::write(self.0.path().join("toll.toml"), text).unwrap();
    }

    fn toll(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_toll")).args(words).current_dir(self.0.path()).output().unwrap()
    }

    fn files(&self) -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let list = |path: &Path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> =
            list(self.0.path()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
        files.sort();
        files
    }

    /// Refused with code 3, by a line that names `setting`, with nothing touched.
    fn refuses(&self, words: &[&str], setting: &str) {
        let before = self.files();
        let ended = self.toll(words);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(3), "{said}");
        assert!(said.contains(setting), "{setting}: {said}");
        assert_eq!(self.files(), before);
    }
}

#[test]
fn a_configuration_that_works_is_told_and_nothing_is_touched() {
    let place = Place::new();
    let before = place.files();
    let told = place.toll(&["serve", "--check"]);
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{text} {:?}", String::from_utf8_lossy(&told.stderr));
    for part in [
        "guards http://127.0.0.1:3000 at http://127.0.0.1:8402",
        "makes the challenge secret in toll.db.secret",
        "charges 0.001 (1000 base units) for GET /v1/weather/*",
        "makes the ledger toll.db",
        "leaves channels open when stopped",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(place.files(), before);
}

#[test]
fn the_document_has_every_value_in_force_and_no_key_of_a_node() {
    let place = Place::new();
    place.write(&Place::text().replace("http://127.0.0.1:8899", "https://node.example/secret-token"));
    let told = place.toll(&["--json", "serve", "--check"]);
    let text = String::from_utf8(told.stdout).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["settings"]["settler"]["poll_interval_ms"], 5_000);
    assert_eq!(document["settings"]["gateway"]["limits"]["opens_per_minute"], 10);
    assert!(!text.contains("secret-token"), "{text}");
}

#[test]
fn what_is_missing_on_this_machine_is_named_by_its_setting() {
    let place = Place::new();
    std::fs::remove_file(place.0.path().join("payee.json")).unwrap();
    place.refuses(&["serve", "--check"], "settler.payee");

    let place = Place::new();
    place.write(&Place::text().replacen("#- secret_file", "secret_file", 1));
    place.refuses(&["serve", "--check"], "error: gateway.secret_file: ");

    for secret in [None, Some("too short")] {
        let place = Place::new();
        place.write(&Place::text().replace("#- previous_secret_file", "previous_secret_file"));
        if let Some(text) = secret {
            std::fs::write(place.0.path().join("old.key"), text).unwrap();
        }
        place.refuses(&["serve", "--check"], "error: gateway.previous_secret_file: ");
    }

    let place = Place::new();
    place.write(&Place::text().replace("\"toll.db\"", "\"missing/toll.db\""));
    place.refuses(&["serve", "--check"], "ledger.path");

    let place = Place::new();
    std::fs::write(place.0.path().join("toll.db"), "no ledger").unwrap();
    place.refuses(&["--json", "serve", "--check"], "ledger.path");

    let place = Place::new();
    std::fs::remove_file(place.0.path().join("toll.toml")).unwrap();
    place.refuses(&["serve", "--check"], "toll.toml");
}

#[test]
fn keys_of_others_are_refused() {
    let place = Place::new();
    place.write(EXAMPLE);
    place.refuses(&["serve", "--check"], "session.fee_payer");
}

#[test]
fn a_gateway_alone_needs_no_keys() {
    let place = Place::new();
    place.write(EXAMPLE);
    for file in ["payee.json", "fee-payer.json"] {
        std::fs::remove_file(place.0.path().join(file)).unwrap();
    }
    let told = place.toll(&["serve", "--check", "--only", "gateway"]);
    assert!(told.status.success(), "{:?}", String::from_utf8_lossy(&told.stderr));
}

#[test]
fn the_schema_is_printed() {
    let place = Place::new();
    let printed = place.toll(&["serve", "--schema"]);
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(printed, toll_cli::config::schema());
}
