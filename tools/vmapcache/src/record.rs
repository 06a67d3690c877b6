// SPDX-License-Identifier: GPL-2.0

//! One result: that of one side in one setting, as bench.json keeps it.

use crate::{machine::Machine, output, view::text_of};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Write},
    path::Path,
};

/// A switch is on or off, or a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    Flag(bool),
    Number(u64),
}

pub type Switches = BTreeMap<String, Setting>;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub scenario: String,
    pub allocator: String,
    pub threads: u32,
    /// The largest, if sizes are random.
    pub pages: u32,
    #[serde(default = "one")]
    pub pages_min: u32,
    /// In pages, likewise.
    pub align: u32,
    #[serde(default = "one")]
    pub align_min: u32,
    pub writers: u32,
    pub live: u32,
    /// Areas freed and not yet purged.
    #[serde(default)]
    pub lazy: u32,
    pub switches: Switches,
    pub runs_ns: Vec<f64>,
    pub median_ns: f64,
    pub run_min_ns: f64,
    pub run_max_ns: f64,
    pub cpu_ns: f64,
    pub p50_ns: Option<f64>,
    pub p99_ns: Option<f64>,
    pub p999_ns: Option<f64>,
    pub max_ns: Option<f64>,
    /// N of 10,000 operations did not take longer, for each N that the laboratory asks for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quantiles_ns: BTreeMap<u32, f64>,
    /// Cost of the clock, already subtracted from the latencies.
    pub clock_ns: Option<f64>,
    pub ops: u64,
    pub failures: u64,
    pub flushes: Option<u64>,
    /// Operations of the pass that counted flushes.
    pub flush_ops: Option<u64>,
    pub flush_source: Option<String>,
    pub shared_locks: Option<u64>,
    pub searches: Option<u64>,
    pub visited: Option<u64>,
    pub held_max_ns: Option<f64>,
    pub writer_ops: Option<u64>,
    pub writer_cpu_ns: Option<f64>,
    pub check: Option<String>,
    /// Of a replay: the recording, if it is one that ships.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,
    /// Areas and pages that lived at each checkpoint of a replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_sets: Option<String>,
    /// Instructions of an operation: see `instruction_source`.
    pub instructions: Option<f64>,
    /// `perf`: the processor's own counter, in a pass of its own. `icount`: the emulator, in
    /// another boot, with one CPU.
    pub instruction_source: Option<String>,
    #[serde(flatten)]
    pub machine: Machine,
}

fn one() -> u32 {
    1
}

impl Record {
    /// Reads a line of bench/result.
    pub fn parse(line: &str, switches: &Switches, machine: &Machine) -> Result<Record, String> {
        let words: BTreeMap<&str, &str> = line
            .split_ascii_whitespace()
            .filter_map(|word| word.split_once('='))
            .collect();
        let text = |key: &str| {
            let word = words.get(key).copied();
            word.ok_or_else(|| format!("bench/result has no {key}: {line}"))
        };
        fn number<T: std::str::FromStr>(key: &str, text: &str) -> Result<T, String> {
            text.parse()
                .map_err(|_| format!("bench/result: {key}={text}"))
        }
        macro_rules! need {
            ($key:literal) => {
                number($key, text($key)?)?
            };
        }
        macro_rules! may {
            ($key:literal) => {
                words.get($key).map(|t| number($key, t)).transpose()?
            };
        }
        let span = |key| -> Result<(u32, u32), String> {
            let text = text(key)?;
            let (low, high) = text.split_once('-').unwrap_or((text, text));
            Ok((number(key, low)?, number(key, high)?))
        };
        let (pages_min, pages) = span("pages")?;
        let (align_min, align) = span("align")?;
        let quantiles = words.get("quantiles_ns").map_or("", |text| *text);
        let quantiles = quantiles.split_terminator(',').map(|text| {
            let (share, ns) = text.split_once(':').unwrap_or((text, ""));
            Ok((number("quantiles_ns", share)?, number("quantiles_ns", ns)?))
        });
        let runs = text("runs_ns")?.split(',').map(|t| number("runs_ns", t));
        let allocator = text("allocator")?.to_string();
        Ok(Record {
            scenario: text("scenario")?.to_string(),
            switches: match allocator.as_str() {
                "vmapcache" => switches.clone(),
                _ => Switches::new(),
            },
            allocator,
            threads: need!("threads"),
            pages,
            pages_min,
            align,
            align_min,
            writers: need!("writers"),
            live: need!("live"),
            lazy: may!("lazy").unwrap_or(0),
            runs_ns: runs.collect::<Result<_, _>>()?,
            median_ns: need!("median_ns"),
            run_min_ns: need!("run_min_ns"),
            run_max_ns: need!("run_max_ns"),
            cpu_ns: need!("cpu_ns"),
            p50_ns: may!("p50_ns"),
            p99_ns: may!("p99_ns"),
            p999_ns: may!("p999_ns"),
            max_ns: may!("max_ns"),
            quantiles_ns: quantiles.collect::<Result<_, String>>()?,
            clock_ns: may!("clock_ns"),
            ops: need!("ops"),
            failures: need!("failures"),
            flushes: may!("flushes"),
            flush_ops: may!("flush_ops"),
            flush_source: words.get("flush_source").map(|s| s.to_string()),
            shared_locks: may!("shared_locks"),
            searches: may!("searches"),
            visited: may!("visited"),
            held_max_ns: may!("held_max_ns"),
            writer_ops: may!("writer_ops"),
            writer_cpu_ns: may!("writer_cpu_ns"),
            check: words.get("check").map(|s| s.to_string()),
            recording: None,
            live_sets: words.get("live_sets").map(|s| s.to_string()),
            instructions: may!("instructions"),
            instruction_source: words.get("instructions").map(|_| "perf".to_string()),
            machine: machine.clone(),
        })
    }

    /// Whether `other` is of the same work in the same setting, on any side.
    pub fn same(&self, other: &Record) -> bool {
        let shape = |r: &Record| (r.pages_min, r.pages, r.align_min, r.align);
        let around = |r: &Record| (r.threads, r.writers, r.live, r.lazy);
        self.scenario == other.scenario
            && self.recording == other.recording
            && shape(self) == shape(other)
            && around(self) == around(other)
    }
}

pub fn save(path: &Path, records: &[Record]) -> Result<(), String> {
    let say = |e: std::io::Error| format!("{}: {e}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(say)?;
    }
    let text = serde_json::to_string_pretty(records).map_err(|e| e.to_string())?;
    output::replace(path, |mut file| file.write_all((text + "\n").as_bytes())).map_err(say)
}

pub fn load(path: &Path) -> Result<Vec<Record>, String> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|e| match e.kind() {
        ErrorKind::NotFound => {
            format!("{name}: there is no such file; `vmapcache bench` makes one")
        }
        _ => format!("{name}: {e}"),
    })?;
    parse(&name, &text_of(&name, bytes)?)
}

/// The text of the file `name`.
pub fn parse(name: &str, text: &str) -> Result<Vec<Record>, String> {
    serde_json::from_str(text).map_err(|e| format!("{name}: no data of `vmapcache bench`: {e}"))
}
