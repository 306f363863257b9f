//! `SECURITY.md` names a test for every claim: they exist.

use std::fs;
use std::path::Path;

#[test]
fn every_test_that_the_security_document_names_exists() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document =
        fs::read_to_string(suite.join("../../programs/session-channel/SECURITY.md")).expect("it is there");
    let mut names = 0;
    for reference in document.split('`').filter_map(|text| text.split_once(".rs::")) {
        let (file, name) = reference;
        let folder = if file.contains('/') { suite.join("../..") } else { suite.into() };
        let source = fs::read_to_string(folder.join(format!("{file}.rs"))).expect(file);
        let declared = source.contains(&format!("fn {name}()")) || source.contains(&format!("    {name}: "));
        assert!(declared, "{file}.rs has no test {name}");
        names += 1;
    }
    assert!(names > 50, "only {names} tests are named");
}
