// SPDX-License-Identifier: GPL-2.0

//! A bar with the time left. On a terminal it stays on its line; elsewhere it prints one line
//! for each tenth.

use std::{
    io::{stderr, IsTerminal, Write},
    time::{Duration, Instant},
};

const WIDTH: usize = 30;

pub struct Bar {
    start: Instant,
    total: usize,
    terminal: bool,
    tenth: usize,
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

impl Bar {
    pub fn new(total: usize) -> Bar {
        Bar {
            start: Instant::now(),
            total,
            terminal: stderr().is_terminal(),
            tenth: 0,
        }
    }

    /// `done` of the total are done, and `what` comes next.
    pub fn show(&mut self, done: usize, what: &str) {
        let spent = self.start.elapsed();
        let left = match done {
            0 => "?".to_string(),
            _ => clock(spent.mul_f64((self.total - done) as f64 / done as f64)),
        };
        let (done_of, spent) = (format!("{done}/{}", self.total), clock(spent));
        if self.terminal {
            let full = WIDTH * done / self.total.max(1);
            let bar = format!("{}{}", "#".repeat(full), ".".repeat(WIDTH - full));
            eprint!("\r\x1b[K[{bar}] {done_of}, {spent} gone, {left} left  {what:.40}");
            let _ = stderr().flush();
        } else if self.total > 0 && (done * 10 / self.total > self.tenth || done == 0) {
            self.tenth = done * 10 / self.total;
            eprintln!("{done_of}, {spent} gone, {left} left");
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}
