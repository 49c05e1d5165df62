//! States in files: read, or refused and left as they are.

#![no_main]

use ecomctl::state::{FileStore, Store as _};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = tempfile::NamedTempFile::new() else { return };
    if std::fs::write(file.path(), bytes).is_err() {
        return;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    let _ = runtime.block_on(FileStore::new(file.path()).load());
    assert!(std::fs::read(file.path()).is_ok_and(|it| it == bytes));
});
