// SPDX-License-Identifier: GPL-2.0

//! Reads the page's sources (the files of `make bench`, `make native` and `make live`, and the output of `vmapcache
//! replay`) as pairs of sides that were measured in turns.

use crate::{
    machine::Machine,
    record::{self, Record},
    tables,
    view::text_of,
};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

/// Where figures come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A recorded workload alone.
    Replay,
    Bench,
    Native,
    Live,
}

/// One file.
pub struct File {
    pub name: String,
    pub kind: Kind,
    /// Its objects, as they are.
    pub objects: Vec<Value>,
    /// Those of all kinds but `Kind::Live`.
    pub records: Vec<Record>,
    pub pairs: Vec<Pair>,
    /// Of `Kind::Native`: what the records' objects also have, in the same order.
    pub natives: Vec<Native>,
}

/// What build/native.json has beyond a record.
#[derive(Clone, Deserialize)]
pub struct Native {
    pub title: String,
    pub locks_per_1000: Option<BTreeMap<u32, f64>>,
    /// Of a lock, while areas are purged.
    pub longest_hold_ns: Option<f64>,
    /// What a cache line costs that goes from one CPU to another: before the cell, and after.
    #[serde(default)]
    pub line_ns: Vec<f64>,
}

impl Native {
    /// `make native` prints some in microseconds, and says so; the data are nanoseconds.
    pub fn name(&self) -> &str {
        self.title.trim_end_matches(", us")
    }
}

/// An object of build/live.json; what was skipped or failed has no allocator.
#[derive(Deserialize)]
struct Workload {
    workload: String,
    cpus: u32,
    unit: String,
    ground: String,
    allocator: Option<String>,
    #[serde(alias = "runs_instructions", default)]
    runs_ns: Vec<f64>,
    #[serde(alias = "median_instructions", default)]
    median_ns: f64,
    #[serde(default)]
    verdict: String,
    /// Of the operations of a round: medians over the rounds. A boot that counts instructions has none.
    #[serde(default)]
    quantiles_ns: Quantiles,
    p50_ns: Option<f64>,
    p99_ns: Option<f64>,
    max_ns: Option<f64>,
    /// Operations of a round.
    #[serde(default)]
    ops: f64,
}

impl Workload {
    /// A round of one operation has no latencies beside its time, and of fewer than 100 none is the hundredth.
    fn quantiles(&self) -> Quantiles {
        if self.ops < 2.0 {
            return Quantiles::new();
        }
        let p99 = self.p99_ns.filter(|_| self.ops >= 100.0);
        with_named(
            &self.quantiles_ns,
            &[(5_000, self.p50_ns), (9_900, p99), (ALL, self.max_ns)],
        )
    }
}

/// What the runs say about which side is faster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Faster,
    Slower,
    Open,
    /// Nothing of the workload was served by vmapcache.
    NotServed,
}

/// The same work on both sides, in turns.
#[derive(Clone)]
pub struct Pair {
    /// The setting in words.
    pub name: String,
    pub ground: String,
    pub machine: String,
    pub cpus: usize,
    /// `ns` or `instructions`.
    pub unit: String,
    /// Of the runs, in their order.
    pub theirs: Vec<f64>,
    pub ours: Vec<f64>,
    /// Of the medians.
    pub ratio: f64,
    pub verdict: Verdict,
    /// The verdict in the words of `make live`, which has tests of its own.
    pub said: String,
    /// Instructions of an operation of ours, where something counted them.
    pub instructions: Option<f64>,
    /// How long single operations took, in-tree and ours. Empty where they were not timed one by one.
    pub quantiles: [Quantiles; 2],
}

/// Shares of 10,000 operations, and what none of them exceeded.
pub type Quantiles = BTreeMap<u32, f64>;

/// All of 10,000 operations: their quantile is the longest.
pub const ALL: u32 = 10_000;

/// Those of `all`, and those with names of their own. Data of older laboratories have these alone.
fn with_named(all: &Quantiles, named: &[(u32, Option<f64>)]) -> Quantiles {
    let named = named
        .iter()
        .filter_map(|(share, ns)| Some((*share, (*ns)?)));
    all.iter()
        .map(|(share, ns)| (*share, *ns))
        .chain(named)
        .collect()
}

fn quantiles(record: &Record) -> Quantiles {
    with_named(
        &record.quantiles_ns,
        &[
            (5_000, record.p50_ns),
            (9_900, record.p99_ns),
            (9_990, record.p999_ns),
            (ALL, record.max_ns),
        ],
    )
}

impl Pair {
    /// The least and the greatest ratio of two runs of the same turn.
    pub fn turns(&self) -> Option<(f64, f64)> {
        turns(&self.theirs, &self.ours)
    }

    /// What tells it from other pairs, of any run.
    pub fn key(&self) -> (String, String, String, usize, &str) {
        let text = |text: &str| text.to_string();
        let (name, ground, machine) = (&self.name, &self.ground, &self.machine);
        (
            text(name),
            text(ground),
            text(machine),
            self.cpus,
            &self.unit,
        )
    }
}

fn turns(theirs: &[f64], ours: &[f64]) -> Option<(f64, f64)> {
    if theirs.len() != ours.len() || theirs.is_empty() || ours.iter().any(|ns| *ns <= 0.0) {
        return None;
    }
    let ratios = theirs.iter().zip(ours).map(|(a, b)| a / b);
    Some(
        ratios.fold((f64::INFINITY, 0.0), |(least, greatest): (f64, f64), r| {
            (least.min(r), greatest.max(r))
        }),
    )
}

/// Faster or slower only if all turns say so.
fn by_turns(turns: Option<(f64, f64)>) -> Verdict {
    match turns {
        Some((least, _)) if least > 1.0 => Verdict::Faster,
        Some((_, greatest)) if greatest < 1.0 => Verdict::Slower,
        _ => Verdict::Open,
    }
}

/// Files from before there was a ground have the machine's kind alone.
pub fn ground(machine: &Machine) -> String {
    match machine.ground.as_str() {
        "" => crate::machine::ground(&machine.virtualisation).into(),
        ground => ground.into(),
    }
}

fn pair(name: String, theirs: &Record, ours: &Record) -> Pair {
    let turns = turns(&theirs.runs_ns, &ours.runs_ns);
    Pair {
        name,
        ground: ground(&ours.machine),
        machine: ours.machine.machine.clone(),
        cpus: ours.machine.cpus,
        unit: "ns".into(),
        theirs: theirs.runs_ns.clone(),
        ours: ours.runs_ns.clone(),
        ratio: theirs.median_ns / ours.median_ns,
        verdict: by_turns(turns),
        said: String::new(),
        instructions: ours.instructions,
        quantiles: [theirs, ours].map(quantiles),
    }
}

fn bench_pairs(records: &[Record]) -> Vec<Pair> {
    let pairs = tables::pairs(records).into_iter();
    pairs
        .map(|(theirs, ours)| {
            let mut name = tables::setting(ours);
            if ours.lazy > 0 {
                name += &format!(", {} lazy", ours.lazy);
            }
            pair(name, theirs, ours)
        })
        .collect()
}

/// Each of our cells beside the first other side of the same cell.
fn native_pairs(records: &[Record], natives: &[Native]) -> Vec<Pair> {
    let records = || records.iter().zip(natives);
    let ours = records().filter(|(r, _)| r.allocator == "vmapcache");
    ours.filter_map(|(ours, cell)| {
        let mut theirs =
            records().filter(|(r, n)| n.title == cell.title && r.allocator != "vmapcache");
        let (theirs, _) = theirs.next()?;
        Some(pair(cell.name().into(), theirs, ours))
    })
    .collect()
}

fn live_pairs(workloads: &[Workload]) -> Vec<Pair> {
    let ours = workloads
        .iter()
        .filter(|w| w.allocator.as_deref() == Some("vmapcache"));
    ours.filter_map(|ours| {
        let theirs = workloads.iter().find(|w| {
            w.allocator.as_deref() == Some("in-tree")
                && (&w.workload, w.cpus, &w.unit) == (&ours.workload, ours.cpus, &ours.unit)
        })?;
        Some(Pair {
            name: ours.workload.clone(),
            ground: ours.ground.clone(),
            machine: String::new(),
            cpus: ours.cpus as usize,
            unit: ours.unit.clone(),
            theirs: theirs.runs_ns.clone(),
            ours: ours.runs_ns.clone(),
            ratio: theirs.median_ns / ours.median_ns,
            verdict: match ours.verdict.as_str() {
                "gain" => Verdict::Faster,
                "loss" => Verdict::Slower,
                "not served" => Verdict::NotServed,
                _ => Verdict::Open,
            },
            said: ours.verdict.clone(),
            instructions: None,
            quantiles: [theirs, ours].map(Workload::quantiles),
        })
    })
    .collect()
}

impl File {
    /// Reads a file of any kind: its objects say which.
    pub fn read(path: &Path) -> Result<File, String> {
        let name = path.display().to_string();
        let bytes = fs::read(path).map_err(|e| format!("{name}: {e}"))?;
        File::parse(&name, &text_of(&name, bytes)?)
    }

    pub fn parse(name: &str, text: &str) -> Result<File, String> {
        let none = format!(
            "{name}: no data of make bench, make native, make live or vmapcache replay -O json"
        );
        let say = |e: serde_json::Error| format!("{none}: {e}");
        let objects: Vec<Value> = serde_json::from_str(text).map_err(say)?;
        let has = |key: &str| objects.iter().any(|object| object.get(key).is_some());
        let kind = match (has("workload"), has("title"), has("scenario")) {
            (true, _, _) => Kind::Live,
            (_, true, true) => Kind::Native,
            (_, _, true) => match objects.iter().all(|object| object["scenario"] == "replay") {
                true => Kind::Replay,
                false => Kind::Bench,
            },
            _ => return Err(none),
        };
        let mut file = File {
            name: name.into(),
            kind,
            objects,
            records: Vec::new(),
            pairs: Vec::new(),
            natives: Vec::new(),
        };
        match kind {
            Kind::Live => {
                let workloads: Vec<Workload> = serde_json::from_str(text).map_err(say)?;
                file.pairs = live_pairs(&workloads);
            }
            Kind::Bench | Kind::Replay => {
                file.records = record::parse(name, text)?;
                file.pairs = bench_pairs(&file.records);
            }
            Kind::Native => {
                file.records = record::parse(name, text)?;
                file.natives = serde_json::from_str(text).map_err(say)?;
                file.pairs = native_pairs(&file.records, &file.natives);
            }
        }
        Ok(file)
    }

    /// Grounds, machine, kernel and commit, each once.
    pub fn origin(&self) -> String {
        let of = |key: &str| -> Vec<String> {
            let mut all: Vec<String> = Vec::new();
            for value in self.objects.iter().filter_map(|object| object.get(key)) {
                let text = shown(value);
                if !text.is_empty() && !all.contains(&text) {
                    all.push(text);
                }
            }
            all
        };
        let mut parts = of("machine");
        let cpus = of("cpus").join(" and ");
        if !cpus.is_empty() {
            parts.push(format!("{cpus} CPUs"));
        }
        parts.extend(of("memory_mb").into_iter().map(|mb| format!("{mb} MiB")));
        parts.extend(
            of("kernel")
                .into_iter()
                .map(|kernel| format!("Linux {kernel}")),
        );
        parts.extend(of("commit").into_iter().map(|id| format!("commit {id}")));
        parts.join(", ")
    }

    pub fn ground(&self) -> String {
        match self.pairs.first() {
            Some(pair) => pair.ground.clone(),
            None => self
                .records
                .first()
                .map_or(String::new(), |r| ground(&r.machine)),
        }
    }
}

/// A value of the data as a page shows it.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::Object(all) => {
            let all = all
                .iter()
                .map(|(key, value)| format!("{key}={}", shown(value)));
            all.collect::<Vec<_>>().join(" ")
        }
        value => value.to_string(),
    }
}
