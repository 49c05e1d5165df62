//! Stack files: read, or refused with what is wrong.

#![no_main]

use ecomctl::{resource::KINDS, stack};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join("stacks");
    if std::fs::create_dir(&path).is_err() || std::fs::write(path.join("x.yaml"), bytes).is_err() {
        return;
    }
    if let Err(err) = stack::load(folder.path(), "x", KINDS) {
        assert!(!err.to_string().is_empty());
    }
});
