// SPDX-License-Identifier: GPL-2.0

//! The required results of texts that somebody writes to debugfs.

#[path = "../../../../rust/face/files/number.rs"]
mod number;
#[path = "../../../../rust/face/files/words.rs"]
mod words;

/// Most bytes of a text of words.
pub const WORDS_MAX: usize = words::MAX;

/// The words of a text.
pub fn words(text: &[u8]) -> Option<Vec<&str>> {
    words::words(text).map(Iterator::collect)
}

/// The name in a word of a filter, whether it is a module's, and whether the word excludes.
pub fn rule(word: &str) -> Option<(&str, bool, bool)> {
    words::rule(word).map(|rule| (rule.name, rule.module, rule.exclude))
}

/// Parses a number as the files of debugfs do, and checks it.
pub fn check_number(text: &[u8]) -> Option<u32> {
    let got = number::parse(text);
    let line = std::str::from_utf8(text).ok();
    let line = line.map(|line| line.strip_suffix('\n').unwrap_or(line));
    // Digits alone; the standard library takes a plus as well.
    let meant = line
        .filter(|line| line.bytes().all(|b| b.is_ascii_digit()) && text.len() <= number::MAX)
        .and_then(|line| line.parse::<u128>().ok())
        .and_then(|n| u32::try_from(n).ok());
    assert_eq!(got, meant, "{text:?}");
    if let Some(n) = got {
        // A number that a file shows can be written again.
        assert_eq!(number::parse(format!("{n}\n").as_bytes()), got);
    }
    got
}
