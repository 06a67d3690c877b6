// SPDX-License-Identifier: GPL-2.0

//! Feeds the program's parsers of stats and info, callers and areas with any text.

#![no_main]

#[allow(dead_code, unused_imports)] // the program uses the rest
#[path = "../../../../vmapcache/src/parse/mod.rs"]
mod parse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let wrong = [
        parse::counters(text).err(),
        parse::callers(text).err(),
        parse::areas(text).err(),
    ];
    for wrong in wrong.into_iter().flatten() {
        assert!(wrong.line <= text.lines().count(), "{wrong}");
        assert!(wrong.to_string().len() < 400, "{wrong}");
    }
});
