// SPDX-License-Identifier: GPL-2.0

//! The words that debugfs files take.
//!
//! Plain safe Rust without a kernel type, so that host tests can feed it.

/// Longest text, in bytes.
pub(crate) const MAX: usize = 512;

/// The words of a line: printable ASCII, a single blank between two of them, perhaps a newline at the end.
/// `None` if the text is anything else.
pub(crate) fn words(text: &[u8]) -> Option<impl Iterator<Item = &str> + Clone> {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    let line = core::str::from_utf8(line).ok()?;
    let words = line.split(' ');
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic());
    (text.len() <= MAX && words.clone().all(is_word)).then_some(words)
}

/// Whose calls a word of a filter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule<'a> {
    /// Of a module or a function.
    pub(crate) name: &'a str,
    /// It is that of a module.
    pub(crate) module: bool,
    /// Leave them alone.
    pub(crate) exclude: bool,
}

/// `function`, `[module]`, and the same behind a `!`. `None` if `word` is anything else.
pub(crate) fn rule(word: &str) -> Option<Rule<'_>> {
    let (exclude, word) = match word.strip_prefix('!') {
        Some(word) => (true, word),
        None => (false, word),
    };
    let (module, name) = match word.strip_prefix('[') {
        Some(word) => (true, word.strip_suffix(']')?),
        None => (false, word),
    };
    let is_name = |b: u8| {
        b.is_ascii_alphanumeric() || b == b'_' || (module && b == b'-') || (!module && b == b'.')
    };
    (!name.is_empty() && name.bytes().all(is_name)).then_some(Rule {
        name,
        module,
        exclude,
    })
}
