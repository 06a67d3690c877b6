// SPDX-License-Identifier: GPL-2.0

//! What the module's files say, as types: the only place that knows their format.
//!
//! Documentation/ABI/testing describes the files. Later versions may add keys, columns and words:
//! these are taken as they come. A line that is none of theirs is an error that names the line.

mod areas;
mod callers;
mod counters;

pub use areas::{area, areas, Area, State};
pub use callers::{callers, Callers};
pub use counters::{counters, Value};

use std::fmt;

/// A text is not what its file shows.
#[derive(Debug, PartialEq)]
pub struct Wrong {
    /// From 1; 0 if it is not one line that is wrong.
    pub line: usize,
    pub what: String,
}

impl Wrong {
    fn new(line: usize, what: impl Into<String>) -> Wrong {
        let what = what.into();
        Wrong { line, what }
    }

    /// A line that should be `wanted`. What it is instead is cut short and made printable.
    fn line(line: usize, wanted: &str, found: &str) -> Wrong {
        let mut start: String = found.chars().take(40).collect();
        if start.len() < found.len() {
            start += "...";
        }
        Wrong::new(line, format!("{start:?} is not {wanted}"))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.what),
            line => write!(f, "line {line}: {}", self.what),
        }
    }
}

/// The lines with their numbers. The module ends each line, so a text without an end is cut off.
fn lines(text: &str) -> Result<impl Iterator<Item = (usize, &str)>, Wrong> {
    if !text.is_empty() && !text.ends_with('\n') {
        let last = text.lines().count();
        return Err(Wrong::new(last, "ends in the middle: the text is cut off"));
    }
    Ok((1..).zip(text.lines()))
}

/// A decimal number without sign, as the kernel prints it.
fn number(word: &str) -> Option<u64> {
    let digits = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
pub mod tests;
