//! Broken stack files: `tests/fixtures/broken/<name>.yaml`, and beside it, in `<name>.txt`, what a user is shown.
//!
//! With `UPDATE_EXPECTED=1` the texts are written instead of compared.

use std::{fs, path::Path};

use crate::harness::Ecomctl;

#[test]
fn every_mistake_is_shown_under_its_line() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/broken");
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut seen = 0;
    for entry in fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|it| it != "yaml") {
            continue;
        }
        seen += 1;
        let text = fs::read_to_string(&path).expect("a text");
        let project = Ecomctl::in_project([("stacks/broken.yaml", text.as_str())]);
        let ended = project.run(["validate", "broken"]).exits(4).without_result();
        let expected = path.with_extension("txt");
        if update {
            fs::write(&expected, &ended.err).expect("written");
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(ended.err, expected, "{}: not what is shown now", path.display());
    }
    assert!(seen >= 6, "only {seen} broken files");
}
