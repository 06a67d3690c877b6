// SPDX-License-Identifier: GPL-2.0

//! What the comparison says, in a few lines.

use super::{
    changes::figure,
    data::{File, Kind, Pair, Verdict},
};
use crate::record::Record;

pub fn range(turns: Option<(f64, f64)>) -> String {
    turns.map_or("-".into(), |(least, greatest)| {
        format!("{}–{}", figure(least), figure(greatest))
    })
}

/// How far figures of a ground carry.
pub fn of_ground(ground: &str) -> &'static str {
    match ground {
        "emulated" => {
            "An emulator charges nothing for a cache line that another CPU has, and little for a load: neither times \
             nor their ratios are a real machine's. Instructions, flushes and locks carry over."
        }
        "native" => {
            "The object code of both allocators in one ordinary program on the real cores of this machine: this is \
             what address space costs, without page tables, flushes and memory."
        }
        "kvm" => "A virtual machine on real cores.",
        _ => "A kernel on a machine of its own.",
    }
}

/// At most four, and how many more.
fn names(pairs: &[&Pair]) -> String {
    let shown: Vec<&str> = pairs
        .iter()
        .take(4)
        .map(|pair| pair.name.as_str())
        .collect();
    let more = match pairs.len().saturating_sub(4) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("{}{more}", shown.join("; "))
}

fn count(pairs: &[&Pair]) -> String {
    let of = |verdict: Verdict| -> Vec<&Pair> {
        let all = pairs.iter().copied();
        all.filter(|pair| pair.verdict == verdict).collect()
    };
    let (better, worse) = (of(Verdict::Faster), of(Verdict::Slower));
    let mut text = format!("vmapcache is better in {} of {}", better.len(), pairs.len());
    text += &match worse.len() {
        0 => ", in-tree in none".to_string(),
        n => format!(", in-tree in {n} ({})", names(&worse)),
    };
    let open = of(Verdict::Open).len();
    if open > 0 {
        text += &format!(", and no difference is shown in {open}");
    }
    let not_served = of(Verdict::NotServed).len();
    if not_served > 0 {
        text += &format!("; vmapcache served nothing in {not_served}");
    }
    text
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn file(files: &[File], kind: Kind) -> Option<&File> {
    files.iter().find(|file| file.kind == kind)
}

/// How many times as long the second pair takes as the first, on both sides.
fn growth(pairs: &[Pair], from: &str, to: &str) -> Option<(f64, f64)> {
    let of = |name: &str| pairs.iter().find(|pair| pair.name == name);
    let (from, to) = (of(from)?, of(to)?);
    let times = |a: &[f64], b: &[f64]| Some(median(b.to_vec())? / median(a.to_vec())?);
    Some((
        times(&from.theirs, &to.theirs)?,
        times(&from.ours, &to.ours)?,
    ))
}

fn cheapest(native: &File) -> Option<String> {
    let pair = native.pairs.first()?;
    let (theirs, ours) = (median(pair.theirs.clone())?, median(pair.ours.clone())?);
    Some(format!(
        "Real cores, {}: an allocation and a free of addresses take {} ns in-tree and {} ns with vmapcache; the ratio is {} \
         (turns: {}).",
        pair.name,
        figure(theirs),
        figure(ours),
        figure(pair.ratio),
        range(pair.turns())
    ))
}

fn grown(native: &File) -> Option<String> {
    let mut parts = Vec::new();
    for (to, words) in [
        ("1 page, 100,000 live", "100,000 live areas"),
        ("1 page, 2 threads", "a second thread"),
    ] {
        if let Some((theirs, ours)) = growth(&native.pairs, "1 page", to) {
            parts.push(format!(
                "with {words} an operation takes {} times as long in-tree, {} times with vmapcache",
                figure(theirs),
                figure(ours)
            ));
        }
    }
    (!parts.is_empty()).then(|| format!("Growth on real cores: {}.", parts.join("; ")))
}

/// What carries over from an emulated machine, else times.
fn in_kernel(bench: &File) -> String {
    let ground = bench.ground();
    let pairs = crate::tables::pairs(&bench.records);
    let mut parts = Vec::new();
    if ground != "emulated" {
        parts.push(count(&bench.pairs.iter().collect::<Vec<_>>()));
    }
    let ratios = pairs
        .iter()
        .filter_map(|(a, b)| Some(a.instructions? / b.instructions?));
    let ratios: Vec<f64> = ratios.collect();
    let settings = ratios.len();
    if let Some(ratio) = median(ratios) {
        parts.push(format!(
            "in-tree takes {} times the instructions of vmapcache in the median of {settings} settings",
            figure(ratio)
        ));
    }
    let rate =
        |r: &Record| Some(r.flushes? as f64 * 1e6 / r.flush_ops.filter(|ops| *ops > 0)? as f64);
    let flushes = pairs
        .iter()
        .filter(|(a, _)| a.scenario == "vmap" || a.scenario == "vmalloc");
    let flushes: Vec<(f64, f64)> = flushes
        .filter_map(|(a, b)| Some((rate(a)?, rate(b)?)))
        .collect();
    let sides: (Vec<f64>, Vec<f64>) = flushes.into_iter().unzip();
    if let Some((theirs, ours)) = median(sides.0).zip(median(sides.1)) {
        parts.push(format!(
            "a million operations of vmap and vmalloc need {} TLB flushes in-tree and {} with vmapcache, in the median",
            figure(theirs),
            figure(ours)
        ));
    }
    // That test asks for more than the arena holds.
    let meant = |r: &Record| r.scenario == "align_shift_alloc_test";
    let failed = pairs.iter().filter(|(_, b)| !meant(b));
    let failed: u64 = failed.map(|(_, b)| b.failures).sum();
    if failed > 0 {
        parts.push(format!("{failed} calls failed with vmapcache"));
    }
    if parts.is_empty() {
        parts.push("nothing that carries over was counted".into());
    }
    format!("In the kernel (ground {ground}): {}.", parts.join("; "))
}

fn workloads(live: &File) -> String {
    let counted = live.pairs.iter().any(|pair| pair.unit == "instructions");
    let unit = if counted { "instructions" } else { "ns" };
    let pairs: Vec<&Pair> = live.pairs.iter().filter(|pair| pair.unit == unit).collect();
    let of = if counted { "instructions" } else { "times" };
    format!(
        "Unmodified workloads (ground {}, by {of}): {}.",
        live.ground(),
        count(&pairs)
    )
}

/// A run with fewer requests tells little.
const FEW_REQUESTS: u64 = 1000;

fn replayed(file: &File, pair: &Pair) -> Option<String> {
    let (theirs, ours) = (median(pair.theirs.clone())?, median(pair.ours.clone())?);
    let verdict = match pair.verdict {
        Verdict::Faster => "vmapcache is better",
        Verdict::Slower => "in-tree is better",
        _ => "no difference is shown",
    };
    let mut text = format!(
        "A recorded workload ({}, ground {}): a request for addresses takes {} ns in-tree and {} ns with vmapcache; the \
         ratio is {} (turns: {}), so {verdict}.",
        pair.name,
        pair.ground,
        figure(theirs),
        figure(ours),
        figure(pair.ratio),
        range(pair.turns())
    );
    // The runs of one side have the same requests.
    let least = file.records.iter().filter(|record| record.ops > 0);
    let least = least.map(|record| record.ops / record.runs_ns.len().max(1) as u64);
    if let Some(requests) = least.min().filter(|requests| *requests < FEW_REQUESTS) {
        text += &format!(
            " A run has only {requests} requests, too few to trust: record for longer, or something that asks for more."
        );
    }
    Some(text)
}

/// The page has nothing but workloads that its reader recorded.
pub fn only_replayed(files: &[File]) -> bool {
    files.iter().all(|file| file.kind == Kind::Replay)
}

/// One for each recorded workload; then always five: a line says so if its data are not there. A page of a
/// recorded workload alone is not about them.
pub fn lines(files: &[File]) -> Vec<String> {
    let replays = files.iter().filter(|file| file.kind == Kind::Replay);
    let mut lines: Vec<String> = replays
        .flat_map(|file| file.pairs.iter().filter_map(|pair| replayed(file, pair)))
        .collect();
    if !only_replayed(files) {
        lines.extend(five(files));
    }
    lines
}

fn five(files: &[File]) -> [String; 5] {
    let absent =
        |what: &str, command: &str| format!("{what} were not measured: {command} does that.");
    let native = file(files, Kind::Native);
    let of_native =
        |line: Option<String>, what: &str| line.unwrap_or_else(|| absent(what, "make native"));
    let bench = file(files, Kind::Bench);
    let live = file(files, Kind::Live);
    [
        of_native(native.and_then(cheapest), "Real cores"),
        of_native(
            native.map(|file| {
                let pairs: Vec<&Pair> = file.pairs.iter().collect();
                format!("All settings on real cores: {}.", count(&pairs))
            }),
            "The settings on real cores",
        ),
        of_native(
            native.and_then(grown),
            "Live areas and threads on real cores",
        ),
        bench.map_or_else(
            || absent("The kernel's own functions", "make bench"),
            in_kernel,
        ),
        live.map_or_else(|| absent("Unmodified workloads", "make live"), workloads),
    ]
}
