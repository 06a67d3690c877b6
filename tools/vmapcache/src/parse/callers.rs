// SPDX-License-Identifier: GPL-2.0

//! `callers` and `takeover/holders`: a line that names the columns, then a line for each function.

use super::{lines, number, Wrong};

#[derive(Debug, PartialEq)]
pub struct Caller<'a> {
    /// As many as there are columns of numbers.
    pub numbers: Vec<u64>,
    /// As the kernel names it: perhaps mangled.
    pub function: &'a str,
    pub module: Option<&'a str>,
}

#[derive(Debug, PartialEq)]
pub struct Callers<'a> {
    /// The names of the columns of numbers.
    pub columns: Vec<&'a str>,
    pub callers: Vec<Caller<'a>>,
}

/// A function and its module: "NAME" or "NAME [MODULE]".
fn function(text: &str) -> (&str, Option<&str>) {
    let parts = text.strip_suffix(']').and_then(|t| t.rsplit_once(" ["));
    match parts {
        Some((function, module)) => (function, Some(module)),
        None => (text, None),
    }
}

/// # Errors
///
/// No line of columns, or a line that has others.
pub fn callers(text: &str) -> Result<Callers<'_>, Wrong> {
    let mut lines = lines(text)?;
    let head = "the head \"# bytes areas ... function\"";
    let (n, line) = lines
        .next()
        .ok_or_else(|| Wrong::new(0, "nothing is in it"))?;
    let columns = line
        .strip_prefix("# ")
        .and_then(|l| l.strip_suffix(" function"));
    let columns: Vec<&str> = columns
        .map(|columns| columns.split(' ').collect())
        .unwrap_or_default();
    if !["bytes", "areas"].iter().all(|name| columns.contains(name)) {
        return Err(Wrong::line(n, head, line));
    }
    let row = |line| {
        let mut words = str::splitn(line, columns.len() + 1, ' ');
        let numbers = words.by_ref().take(columns.len()).map(number);
        let numbers = numbers.collect::<Option<Vec<_>>>()?;
        let (function, module) = function(words.next().filter(|name| !name.is_empty())?);
        Some(Caller {
            numbers,
            function,
            module,
        })
    };
    let wanted = format!("{} numbers and a function", columns.len());
    let callers = lines
        .map(|(n, line)| row(line).ok_or_else(|| Wrong::line(n, &wanted, line)))
        .collect::<Result<_, _>>()?;
    Ok(Callers { columns, callers })
}
