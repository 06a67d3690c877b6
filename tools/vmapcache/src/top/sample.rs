// SPDX-License-Identifier: GPL-2.0

//! What the screen shows: the module's files at one moment, and what has changed since the last one.

use crate::{
    parse::{self, Value},
    view::{readable, Source, Text},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

/// Where takeover says and takes whether it is on.
const ENABLE: &str = "/sys/kernel/debug/vmapcache/takeover/enable";

/// The files, or a folder with copies of them.
pub struct Files {
    pub from: Option<PathBuf>,
}

/// One function: all call sites of one name, since a name is all that a reader sees.
#[derive(Clone, Default)]
pub struct Caller {
    pub bytes: u64,
    pub areas: u64,
    pub allocations: u64,
    pub frees: u64,
    pub name: String,
    /// Per second.
    pub allocation_rate: f64,
    pub free_rate: f64,
}

pub struct Sample {
    when: Instant,
    numbers: BTreeMap<String, u64>,
    pub callers: Vec<Caller>,
    /// "on", "off", "unhooked"; nothing if the module has none.
    pub takeover: Option<String>,
    /// Bytes of all vmalloc memory, ours included.
    pub vmalloc: Option<u64>,
    /// Per second, of what counts.
    rates: BTreeMap<String, f64>,
}

impl Files {
    fn text(&self, source: Source, name: &str) -> Result<Text, String> {
        let copy = self.from.as_ref().map(|folder| folder.join(name));
        Text::read(source, copy.as_deref())
    }

    /// A file that need not be there.
    fn other(&self, path: &str) -> Option<String> {
        let path = match &self.from {
            Some(folder) => folder.join(Path::new(path).file_name()?),
            None => path.into(),
        };
        Some(fs::read_to_string(path).ok()?.trim_end().to_string())
    }

    pub fn set_takeover(&self, on: bool) -> Result<(), String> {
        if self.from.is_some() {
            return Err("these are copies: nothing to turn on or off".into());
        }
        let word = if on { "on" } else { "off" };
        // Not fs::write(), which would make a file where there is none.
        let write = || {
            let mut file = fs::File::options().write(true).open(ENABLE)?;
            std::io::Write::write_all(&mut file, word.as_bytes())
        };
        write().map_err(|e| format!("takeover {word}: {e}"))
    }

    /// Reads all files. Rates are those since `last`.
    pub fn sample(&self, last: Option<&Sample>) -> Result<Sample, String> {
        let mut numbers = BTreeMap::new();
        for (source, name) in [(Source::Stats, "stats"), (Source::Info, "info")] {
            let text = self.text(source, name)?;
            for (key, value) in parse::counters(&text.text).map_err(|e| text.wrong(e))? {
                if let Value::Number(number) = value {
                    numbers.insert(key.to_string(), number);
                }
            }
        }
        let text = self.text(Source::Callers, "callers")?;
        let callers = callers(&parse::callers(&text.text).map_err(|e| text.wrong(e))?);
        let field = |line: &str| {
            let kilobytes = line
                .strip_prefix("VmallocUsed:")?
                .trim()
                .strip_suffix(" kB")?;
            Some(kilobytes.parse::<u64>().ok()? * 1024)
        };
        let vmalloc = self
            .other("/proc/meminfo")
            .and_then(|text| text.lines().find_map(field));
        let mut sample = Sample {
            when: Instant::now(),
            numbers,
            callers,
            takeover: self.other(ENABLE),
            vmalloc,
            rates: BTreeMap::new(),
        };
        if let Some(last) = last {
            sample.compare(last, sample.when.duration_since(last.when).as_secs_f64());
        }
        Ok(sample)
    }
}

fn callers(all: &parse::Callers) -> Vec<Caller> {
    let mut found: BTreeMap<String, Caller> = BTreeMap::new();
    for caller in &all.callers {
        let module = caller.module.map(|module| format!(" [{module}]"));
        let name = readable(caller.function) + module.as_deref().unwrap_or("");
        let entry = found.entry(name.clone()).or_default();
        entry.name = name;
        for (column, number) in all.columns.iter().zip(&caller.numbers) {
            match *column {
                "bytes" => entry.bytes += number,
                "areas" => entry.areas += number,
                "allocations" => entry.allocations += number,
                "frees" => entry.frees += number,
                _ => {}
            }
        }
    }
    found.into_values().collect()
}

impl Sample {
    /// The value of a key; 0 if this module has none.
    pub fn number(&self, key: &str) -> u64 {
        self.numbers.get(key).copied().unwrap_or(0)
    }

    /// Per second.
    pub fn rate(&self, key: &str) -> f64 {
        self.rates.get(key).copied().unwrap_or(0.0)
    }

    /// Finds the rates. A counter that went back is that of a module that was loaded anew.
    fn compare(&mut self, last: &Sample, seconds: f64) {
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds.max(1e-3);
        for (key, now) in &self.numbers {
            let then = last.numbers.get(key).copied().unwrap_or(*now);
            self.rates.insert(key.clone(), rate(*now, then));
        }
        for caller in &mut self.callers {
            let then = last.callers.iter().find(|then| then.name == caller.name);
            let (allocations, frees) = then.map_or((0, 0), |then| (then.allocations, then.frees));
            caller.allocation_rate = rate(caller.allocations, allocations);
            caller.free_rate = rate(caller.frees, frees);
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn recorded() -> Sample {
        let from = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/recorded").into());
        Files { from }.sample(None).unwrap()
    }

    /// With numbers that take as much room as any.
    pub fn crowded() -> Sample {
        let mut sample = recorded();
        for key in ["bytes_free", "bytes_stock", "largest_free_bytes"] {
            sample.numbers.insert(key.into(), (1 << 30) - (100 << 10));
        }
        sample.numbers.insert("fragmentation_percent".into(), 100);
        sample
    }

    #[test]
    fn rates_are_differences() {
        let (last, mut now) = (recorded(), recorded());
        now.numbers
            .insert("flushes".into(), last.number("flushes") + 30);
        now.callers[0].allocations += 10;
        now.numbers.insert("purges".into(), 0);
        now.compare(&last, 2.0);
        assert_eq!(now.rate("flushes"), 15.0);
        assert_eq!(now.rate("allocations"), 0.0);
        assert_eq!(now.rate("purges"), 0.0, "a module that was loaded anew");
        assert_eq!(now.callers[0].allocation_rate, 5.0);
    }

    #[test]
    fn copies_have_no_switch() {
        let files = Files {
            from: Some("/".into()),
        };
        assert!(files.set_takeover(true).is_err());
        assert!(files.sample(None).is_err());
    }
}
