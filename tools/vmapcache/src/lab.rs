// SPDX-License-Identifier: GPL-2.0

//! The laboratory in the module, through its files in debugfs.

use crate::{
    machine::Machine,
    matrix::{Line, SWITCHES},
    progress::Bar,
    record::{Record, Setting, Switches},
    signals,
};
use std::{
    fmt, fs,
    io::{self, Write},
    path::PathBuf,
};

pub fn folder() -> PathBuf {
    PathBuf::from("/sys/kernel/debug/vmapcache/bench")
}

/// The switches without a line that sets them.
pub fn switches() -> Result<Switches, String> {
    let top = folder().with_file_name("");
    let read = |name: &str| -> Result<u64, String> {
        let path = top.join(name);
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let number = text.trim().parse();
        number.map_err(|_| format!("{}: {text}", path.display()))
    };
    let lazy = Setting::Number(read("lazy_max_pages")?);
    let mut switches = Switches::from([("lazy_max_pages".to_string(), lazy)]);
    for name in SWITCHES {
        let on = read(&format!("switches/{name}"))? != 0;
        switches.insert(name.into(), Setting::Flag(on));
    }
    Ok(switches)
}

/// Why there is no result.
pub enum Refused {
    /// The module says why.
    Said(String),
    Failed(io::Error),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Said(why) => f.write_str(why),
            Refused::Failed(e) => e.fmt(f),
        }
    }
}

/// Measures one line. Returns the content of `bench/result`.
pub fn run(line: &str) -> Result<String, Refused> {
    // One write: fs::write() would try again after a signal, and measure everything anew.
    let write = || {
        let mut file = fs::File::options().write(true).open(folder().join("run"))?;
        file.write(line.as_bytes())
    };
    match write() {
        Ok(_) => fs::read_to_string(folder().join("result")).map_err(Refused::Failed),
        Err(e) => match fs::read_to_string(folder().join("error")) {
            // bench/error has the words of another line, which runs meanwhile.
            _ if e.kind() == io::ErrorKind::ResourceBusy => Err(Refused::Failed(e)),
            _ if e.kind() == io::ErrorKind::Interrupted => Err(Refused::Failed(e)),
            Ok(why) if !why.is_empty() => Err(Refused::Said(why.trim_end().to_string())),
            _ => Err(Refused::Failed(e)),
        },
    }
}

/// Measures all lines. Returns the results, and a line for each fault: refused, wrong, or lost.
///
/// # Errors
///
/// An interrupt, or a module that answers something else: then the other lines make no sense.
pub fn measure(
    lines: &[Line],
    machine: &Machine,
) -> Result<(Vec<Vec<Record>>, Vec<String>), String> {
    let (mut records, mut trouble) = (Vec::new(), Vec::new());
    let total = lines.iter().map(|line| line.weight).sum();
    let mut bar = Bar::new(total);
    let mut done = 0;
    for line in lines {
        signals::check()?;
        bar.show(done, &line.words);
        done += line.weight;
        let result = match run(&line.words) {
            Ok(result) => result,
            Err(Refused::Said(why)) => {
                trouble.push(format!("not measured: {}\n  {why}", line.words));
                records.push(Vec::new());
                continue;
            }
            Err(Refused::Failed(e)) => {
                signals::check()?;
                return Err(format!("{}: {e}", line.words));
            }
        };
        let mut sides = Vec::new();
        for text in result.lines() {
            let record = Record::parse(text, &line.switches, machine)?;
            match record.check.as_deref() {
                None | Some("ok" | "none") => {}
                Some(wrong) => trouble.push(format!(
                    "content check of {}: {wrong} ({})",
                    record.allocator, line.words
                )),
            }
            sides.push(record);
        }
        records.push(sides);
    }
    Ok((records, trouble))
}
