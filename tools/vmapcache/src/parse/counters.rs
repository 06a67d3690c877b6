// SPDX-License-Identifier: GPL-2.0

//! `stats`, `info`, `takeover/stats`: a key, a space and a value per line.

use super::{lines, number, Wrong};
use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Number(u64),
    /// "on", "kallsyms", "yes", ...
    Word(&'a str),
    /// A caller in `info`.
    Holder {
        bytes: u64,
        areas: u64,
        function: &'a str,
    },
}

fn is_key(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
}

fn holder(text: &str) -> Option<Value<'_>> {
    let mut words = text.splitn(3, ' ');
    Some(Value::Holder {
        bytes: number(words.next()?)?,
        areas: number(words.next()?)?,
        function: words.next().filter(|function| !function.is_empty())?,
    })
}

fn value<'a>(key: &str, text: &'a str) -> Option<Value<'a>> {
    let place = key.strip_prefix("caller_");
    if place.is_some_and(|place| number(place).is_some()) {
        return holder(text);
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return number(text).map(Value::Number);
    }
    let word = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    word.then_some(Value::Word(text))
}

/// # Errors
///
/// A line without a key and a value, a key that comes twice, or nothing at all.
pub fn counters(text: &str) -> Result<Vec<(&str, Value<'_>)>, Wrong> {
    let mut known = BTreeSet::new();
    let mut found = Vec::new();
    for (n, line) in lines(text)? {
        let pair = line.split_once(' ').filter(|(key, _)| is_key(key));
        let pair = pair.and_then(|(key, text)| Some((key, value(key, text)?)));
        let pair = pair.ok_or_else(|| Wrong::line(n, "a key and its value", line))?;
        if !known.insert(pair.0) {
            return Err(Wrong::new(n, format!("{} comes a second time", pair.0)));
        }
        found.push(pair);
    }
    if found.is_empty() {
        return Err(Wrong::new(0, "nothing is in it"));
    }
    Ok(found)
}
