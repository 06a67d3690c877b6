// SPDX-License-Identifier: GPL-2.0

//! One line that shows how far the measuring is, and the time left.
//!
//! On a terminal this rewrites the line; elsewhere it prints one for each tenth. In the VM, standard
//! error is never a terminal. There `scripts/vm` says whether the host's is one, and how wide:
//! `VMAPCACHE_TERMINAL` has its columns.

use std::{
    env,
    io::{stderr, IsTerminal, Write},
    time::{Duration, Instant},
};

/// Columns of a terminal of unknown width.
const USUAL_COLUMNS: usize = 80;

pub struct Bar {
    start: Instant,
    total: usize,
    /// Of the terminal; `None` without one.
    columns: Option<usize>,
    tenth: Option<usize>,
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Columns of the terminal that shows standard error, from the environment.
fn columns(is_terminal: bool, outside: Option<&str>, term: Option<&str>) -> Option<usize> {
    if term.is_none_or(|term| term.is_empty() || term == "dumb") {
        return None;
    }
    match outside.map(str::parse) {
        Some(Ok(0)) => Some(USUAL_COLUMNS),
        Some(Ok(columns)) => Some(columns),
        _ if is_terminal => Some(USUAL_COLUMNS),
        _ => None,
    }
}

/// The line when `done` of `total` are done after `spent`.
fn line(done: usize, total: usize, spent: Duration, what: &str) -> String {
    let percent = (100 * done).checked_div(total).unwrap_or(100);
    let left = match done {
        0 => String::new(),
        _ => format!(
            ", about {} left",
            clock(spent.mul_f64((total - done) as f64 / done as f64))
        ),
    };
    format!("measuring, {percent} %, {}{left}: {what}", clock(spent))
}

impl Bar {
    pub fn new(total: usize) -> Bar {
        let variable = |name| env::var(name).ok();
        Bar {
            start: Instant::now(),
            total,
            columns: columns(
                stderr().is_terminal(),
                variable("VMAPCACHE_TERMINAL").as_deref(),
                variable("TERM").as_deref(),
            ),
            tenth: None,
        }
    }

    /// `done` of the total are done, and `what` comes next.
    pub fn show(&mut self, done: usize, what: &str) {
        let text = line(done, self.total, self.start.elapsed(), what);
        if let Some(columns) = self.columns {
            // In the last column some terminals would begin a new line.
            eprint!("\r{:.*}\x1b[K", columns.saturating_sub(1), text);
            let _ = stderr().flush();
            return;
        }
        let tenth = (done * 10).checked_div(self.total);
        if tenth != self.tenth {
            self.tenth = tenth;
            eprintln!("{text}");
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.columns.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_known_here_and_outside() {
        assert_eq!(columns(true, None, Some("xterm")), Some(80));
        assert_eq!(columns(true, None, Some("dumb")), None);
        assert_eq!(columns(true, None, None), None);
        assert_eq!(columns(false, None, Some("xterm")), None);
        assert_eq!(columns(false, Some("132"), Some("xterm")), Some(132));
        assert_eq!(columns(false, Some("0"), Some("xterm")), Some(80));
        assert_eq!(columns(false, Some("132"), Some("dumb")), None);
        assert_eq!(columns(false, Some("wide"), Some("xterm")), None);
    }

    #[test]
    fn time_left_is_in_proportion() {
        let text = |done, total, seconds| line(done, total, Duration::from_secs(seconds), "x");
        assert_eq!(text(0, 40, 3), "measuring, 0 %, 0:03: x");
        assert_eq!(
            text(10, 40, 25),
            "measuring, 25 %, 0:25, about 1:15 left: x"
        );
        assert_eq!(
            text(40, 40, 100),
            "measuring, 100 %, 1:40, about 0:00 left: x"
        );
        assert_eq!(text(0, 0, 0), "measuring, 100 %, 0:00: x");
    }
}
