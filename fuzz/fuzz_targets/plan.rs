//! Saved plans: read, or refused with a place; what is read is written and read back the same.

#![no_main]

use ecomctl::engine::Saved;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(saved) = Saved::read(text) {
        let again = saved.text().map(|it| Saved::read(&it));
        assert!(again.is_ok_and(|it| it == Ok(saved)));
    }
});
