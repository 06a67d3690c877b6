// SPDX-License-Identifier: GPL-2.0

//! A table for each question.

use crate::{
    matrix::Extent,
    record::{Record, Setting, Switches},
};
use textwrap::{fill, Options};

/// Columns, the first to the left, the others to the right.
struct Table {
    title: &'static str,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(title: &'static str, heads: &[&str]) -> Table {
        Table {
            title,
            rows: vec![heads.iter().map(|h| h.to_string()).collect()],
        }
    }

    fn row(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    fn print(&self, note: &str) {
        if self.rows.len() < 2 {
            return;
        }
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &Vec<String>, i: usize| row.get(i).map_or(0, |c| c.chars().count());
        let width = |i| self.rows.iter().map(|row| cell(row, i)).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        println!("\n{}", self.title);
        for (n, row) in self.rows.iter().enumerate() {
            let cells = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(i, (c, w))| match i {
                    0 => format!("{c:<w$}"),
                    _ => format!("{c:>w$}"),
                });
            println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
            if n == 0 {
                println!(
                    "  {}",
                    "-".repeat(widths.iter().sum::<usize>() + 2 * (columns - 1))
                );
            }
        }
        if !note.is_empty() {
            println!("{}", wrapped(note, "  "));
        }
    }
}

/// Text as lines that begin with `indent` and fit on a terminal.
pub fn wrapped(text: &str, indent: &str) -> String {
    let options = Options::new(79)
        .initial_indent(indent)
        .subsequent_indent(indent);
    fill(text, options)
}

fn ns(value: f64) -> String {
    match value {
        v if v < 10.0 => format!("{v:.1}"),
        v if v < 1e7 => format!("{v:.0}"),
        v => format!("{:.1} ms", v / 1e6),
    }
}

/// The median, marked if the runs do not agree.
fn median(record: &Record) -> String {
    let calm = record.run_max_ns <= 1.5 * record.run_min_ns;
    ns(record.median_ns) + if calm { "" } else { "~" }
}

fn may(value: Option<f64>) -> String {
    value.map_or("-".into(), ns)
}

fn ratio(a: f64, b: f64) -> String {
    if b > 0.0 {
        format!("{:.2}", a / b)
    } else {
        "-".into()
    }
}

/// Per million operations, so that settings compare.
fn flushes(record: &Record) -> String {
    match (record.flushes, record.flush_ops) {
        (Some(n), Some(ops)) if ops > 0 => format!("{:.0}", n as f64 * 1e6 / ops as f64),
        _ => "-".into(),
    }
}

fn failures(record: &Record) -> String {
    match record.failures {
        0 => "0".into(),
        n => format!("{:.1} %", n as f64 * 100.0 / record.ops.max(1) as f64),
    }
}

fn span(min: u32, max: u32) -> String {
    if min == max {
        max.to_string()
    } else {
        format!("{min}-{max}")
    }
}

/// The setting in words, without those that every row shares.
fn setting(record: &Record) -> String {
    let mut text = record.scenario.clone();
    if !record.scenario.ends_with("_test") && record.scenario != "info_read" {
        text += &format!(" {}p", span(record.pages_min, record.pages));
    }
    if record.align > 1 {
        text += &format!(", aligned {}p", span(record.align_min, record.align));
    }
    if record.threads > 1 {
        text += &format!(", {} threads", record.threads);
    }
    if record.writers > 0 {
        text += &format!(", {} writing", record.writers);
    }
    if record.live > 0 {
        text += &format!(", {} live", record.live);
    }
    text
}

/// The results that compare both allocators as they are: in-tree and ours.
fn pairs(records: &[Record]) -> Vec<(&Record, &Record)> {
    let own = own_switches(records);
    let partner = |ours| {
        let in_tree = records
            .iter()
            .find(|r| r.allocator == "in-tree" && r.same(ours));
        in_tree.map(|theirs| (theirs, ours))
    };
    records
        .iter()
        .filter(|r| r.allocator == "vmapcache" && Some(&r.switches) == own)
        .filter_map(partner)
        .collect()
}

/// The module's default switches: those of the first result, since the matrix begins with the fast
/// path.
fn own_switches(records: &[Record]) -> Option<&Switches> {
    let mut ours = records.iter().filter(|r| r.allocator == "vmapcache");
    ours.next().map(|r| &r.switches)
}

fn side<'a>(records: &'a [Record], allocator: &str, like: &Record) -> Option<&'a Record> {
    records
        .iter()
        .find(|r| r.allocator == allocator && r.same(like))
}

/// The bare work at as many pages.
fn bare<'a>(records: &'a [Record], scenario: &str, pages: u32) -> Option<&'a Record> {
    records
        .iter()
        .find(|r| r.scenario == scenario && r.pages == pages)
}

const HEADS: [&str; 8] = [
    "scenario",
    "in-tree ns",
    "vmapcache ns",
    "ratio",
    "flushes/M",
    "ours",
    "failures",
    "ours",
];

fn compare(title: &'static str, note: &str, pairs: &[(&Record, &Record)]) {
    // Without their columns, which say 0 nearly always, the table fits in 80.
    let failed = pairs.iter().any(|(a, b)| a.failures + b.failures > 0);
    let columns = HEADS.len() - if failed { 0 } else { 2 };
    let mut table = Table::new(title, &HEADS[..columns]);
    for (a, b) in pairs {
        let mut row = vec![
            setting(a),
            median(a),
            median(b),
            ratio(a.median_ns, b.median_ns),
            flushes(a),
            flushes(b),
            failures(a),
            failures(b),
        ];
        row.truncate(columns);
        table.row(row);
    }
    table.print(note);
}

fn latencies(pairs: &[(&Record, &Record)]) {
    let heads = [
        "scenario",
        "p50",
        "p99",
        "p99.9",
        "max",
        "ours: p50",
        "p99",
        "p99.9",
        "max",
        "held",
        "ours",
    ];
    let mut table = Table::new(
        "How long does the unlucky one wait? (ns, the clock's cost taken off)",
        &heads,
    );
    for (a, b) in pairs {
        let of = |r: &Record| [r.p50_ns, r.p99_ns, r.p999_ns, r.max_ns].map(may);
        let mut row = vec![setting(a)];
        row.extend(of(a));
        row.extend(of(b));
        row.extend([may(a.held_max_ns), may(b.held_max_ns)]);
        table.row(row);
    }
    let clock = pairs.iter().find_map(|(a, _)| a.clock_ns);
    table.print(&format!(
        "clock: {} ns; held: the longest time that a real-time thread had to wait for its CPU",
        may(clock)
    ));
}

fn scaling(pairs: &[(&Record, &Record)]) {
    let heads = [
        "scenario",
        "in-tree ns",
        "vmapcache ns",
        "ratio",
        "in-tree / 1 thread",
        "ours / 1 thread",
    ];
    let mut table = Table::new("Does it scale with threads?", &heads);
    for (a, b) in pairs.iter().filter(|(a, _)| a.live == 0 && a.writers == 0) {
        let one = |r: &Record| {
            let like = Record {
                threads: 1,
                ..r.clone()
            };
            let side = |(a, b): &(&Record, &Record)| {
                let side = if r.allocator == "in-tree" { *a } else { *b };
                side.same(&like).then_some(side.median_ns)
            };
            pairs.iter().find_map(side)
        };
        let (Some(one_a), Some(one_b)) = (one(a), one(b)) else {
            continue;
        };
        let several = pairs.iter().any(|(c, _)| {
            c.threads > 1
                && a.same(&Record {
                    threads: a.threads,
                    ..(*c).clone()
                })
        });
        if several {
            table.row(vec![
                setting(a),
                median(a),
                median(b),
                ratio(a.median_ns, b.median_ns),
                ratio(a.median_ns, one_a),
                ratio(b.median_ns, one_b),
            ]);
        }
    }
    table.print("with more threads than CPUs, an operation is charged with its share of the CPU");
}

fn growth(pairs: &[(&Record, &Record)]) {
    let heads = [
        "scenario",
        "in-tree ns",
        "vmapcache ns",
        "ratio",
        "in-tree / 0 live",
        "ours / 0 live",
    ];
    let mut table = Table::new("What do areas cost that are there already?", &heads);
    let allocs = |(a, _): &&(&Record, &Record)| a.scenario == "va_only" || a.scenario == "vmap";
    for (a, b) in pairs.iter().filter(allocs).filter(|(a, _)| a.live > 0) {
        let none = Record {
            live: 0,
            ..(*a).clone()
        };
        if let Some((base_a, base_b)) = pairs.iter().find(|(c, _)| c.same(&none)) {
            table.row(vec![
                setting(a),
                median(a),
                median(b),
                ratio(a.median_ns, b.median_ns),
                ratio(a.median_ns, base_a.median_ns),
                ratio(b.median_ns, base_b.median_ns),
            ]);
        }
    }
    table.print("");
}

fn readers(pairs: &[(&Record, &Record)]) {
    let heads = [
        "scenario",
        "in-tree: a read",
        "ours",
        "in-tree: a write, CPU ns",
        "ours",
        "ratio",
    ];
    let mut table = Table::new("What do readers of the area list cost the writers?", &heads);
    for (a, b) in pairs.iter().filter(|(a, _)| a.scenario == "info_read") {
        let (write_a, write_b) = (a.writer_cpu_ns, b.writer_cpu_ns);
        table.row(vec![
            setting(a),
            median(a),
            median(b),
            may(write_a),
            may(write_b),
            write_a
                .zip(write_b)
                .map_or("-".into(), |(a, b)| ratio(a, b)),
        ]);
    }
    table.print("/proc/vmallocinfo and /proc/vmapcacheinfo, read whole over and over");
}

/// So many `of` others, times `scale`.
fn share(what: Option<u64>, of: Option<u64>, scale: f64) -> String {
    match what.zip(of) {
        Some((what, of)) if of > 0 => format!("{:.1}", what as f64 * scale / of as f64),
        _ => "-".into(),
    }
}

fn ablation(records: &[Record]) {
    let heads = [
        "scenario",
        "without",
        "ns",
        "with all",
        "costs",
        "flushes/M",
        "locks/1000",
        "visited",
    ];
    let mut table = Table::new(
        "What is each idea worth? (vmapcache, one switched off)",
        &heads,
    );
    let Some(own) = own_switches(records) else {
        return;
    };
    let ours = || {
        let ours = records.iter().filter(|r| r.allocator == "vmapcache");
        ours.filter(|r| r.scenario != "lazy_search")
    };
    for r in ours().filter(|r| r.switches != *own) {
        let whole = ours().find(|w| w.switches == *own && w.same(r));
        let changed = r
            .switches
            .iter()
            .filter(|(name, setting)| own.get(*name) != Some(*setting));
        let off: Vec<String> = changed
            .map(|(name, setting)| match setting {
                Setting::Flag(false) => name.clone(),
                Setting::Flag(true) => format!("{name}=1"),
                Setting::Number(n) => format!("{name}={n}"),
            })
            .collect();
        table.row(vec![
            setting(r),
            off.join(", "),
            median(r),
            whole.map_or("-".into(), |w| ns(w.median_ns)),
            whole.map_or("-".into(), |w| ratio(r.median_ns, w.median_ns)),
            flushes(r),
            share(r.shared_locks, r.flush_ops, 1e3),
            share(r.visited, r.searches, 1.0),
        ]);
    }
    table.print("locks: those that other CPUs take as well; visited: extents looked at in a search for free space");
}

/// Searches among lazy areas.
fn cure(records: &[Record]) {
    let heads = [
        "lazy areas",
        "visited with",
        "without",
        "ns with",
        "without",
        "costs",
    ];
    let mut table = Table::new(
        "What does the free-area cache cure? (extents visited for one allocation)",
        &heads,
    );
    let searches = |on| {
        let by = move |r: &&Record| r.switches.get("free_area_cache") == Some(&Setting::Flag(on));
        let all = records.iter().filter(|r| r.scenario == "lazy_search");
        all.filter(by)
    };
    for with in searches(true) {
        let Some(without) = searches(false).find(|r| r.same(with)) else {
            continue;
        };
        let visited = |r: &Record| share(r.visited, r.flush_ops, 1.0);
        table.row(vec![
            with.lazy.to_string(),
            visited(with),
            visited(without),
            median(with),
            median(without),
            ratio(without.median_ns, with.median_ns),
        ]);
    }
    table.print("areas freed and not yet purged, a hole that is too small behind each; magazines off, or nothing would be searched");
}

/// Instructions of an operation, if something counted them.
pub fn instructions(records: &[Record]) {
    let heads = [
        "scenario",
        "in-tree",
        "vmapcache",
        "ratio",
        "vm_map_ram",
        "bare",
    ];
    let mut table = Table::new("How many instructions does an operation take?", &heads);
    let own = own_switches(records);
    let all = || records.iter().filter(|r| r.instructions.is_some());
    let off = |r: &Record| r.allocator == "vmapcache" && Some(&r.switches) != own;
    let mut told: Vec<&Record> = Vec::new();
    for r in all() {
        if off(r) || told.iter().any(|t| t.same(r)) {
            continue;
        }
        told.push(r);
        let of = |name| all().find(|o| o.allocator == name && !off(o) && o.same(r));
        let count = |name| of(name).and_then(|o| o.instructions);
        let (theirs, ours) = (count("in-tree"), count("vmapcache"));
        table.row(vec![
            setting(r),
            may(theirs),
            may(ours),
            theirs.zip(ours).map_or("-".into(), |(a, b)| ratio(a, b)),
            may(count("vm_map_ram")),
            may(count("bare")),
        ]);
    }
    for r in all().filter(|r| off(r)) {
        let mut text = setting(r);
        let changed = r.switches.iter();
        for (name, _) in changed.filter(|(name, s)| own.and_then(|o| o.get(*name)) != Some(*s)) {
            text += &format!(", without {name}");
        }
        table.row(vec![text, "-".into(), may(r.instructions)]);
    }
    let source = all().find_map(|r| r.instruction_source.as_deref());
    table.print(match source {
        Some("icount") => "counted by the emulator, in a boot of its own with one CPU: the least of many short runs",
        _ => "counted by the processor",
    });
}

fn limit(records: &[Record], pairs: &[(&Record, &Record)]) {
    let heads = [
        "scenario",
        "bare ns",
        "in-tree ns",
        "/ bare",
        "vmapcache ns",
        "/ bare",
    ];
    let mut table = Table::new(
        "How far from the limit? (page tables and pages without an allocator)",
        &heads,
    );
    let alone = |(a, _): &&(&Record, &Record)| a.threads == 1 && a.live == 0;
    for (a, b) in pairs.iter().filter(alone) {
        let map = bare(records, "bare_map", a.pages).map(|r| r.median_ns);
        let page = bare(records, "bare_page", a.pages).map(|r| r.median_ns);
        let bare = match a.scenario.as_str() {
            "vmap" => map,
            "vmalloc" => map.zip(page).map(|(m, p)| m + p),
            _ => None,
        };
        let Some(bare) = bare else { continue };
        table.row(vec![
            setting(a),
            ns(bare),
            median(a),
            ratio(a.median_ns, bare),
            median(b),
            ratio(b.median_ns, bare),
        ]);
    }
    table.print("");
}

fn map_ram(records: &[Record], pairs: &[(&Record, &Record)]) {
    let mut table = Table::new(
        "Against vm_map_ram()",
        &["scenario", "vm_map_ram ns", "vmapcache ns", "ratio"],
    );
    for (a, b) in pairs.iter().filter(|(a, _)| a.scenario == "vmap") {
        if let Some(r) = side(records, "vm_map_ram", a) {
            table.row(vec![
                setting(a),
                median(r),
                median(b),
                ratio(r.median_ns, b.median_ns),
            ]);
        }
    }
    table.print("");
}

/// Below tables of an emulated machine.
const EMULATED: &str = "Ground: emulated. An emulator charges nothing for a cache line that another \
     CPU has, and little for a load: neither times nor ratios are a real machine's (`make native` has \
     those).";

/// Below tables with times that vary much.
const BUSY: &str = "~ the slowest run took 1.5 times as long as the fastest: this machine was busy";

/// Prints all tables that have records.
pub fn print(extent: Extent, records: &[Record]) {
    let pairs = pairs(records);
    let shaky = records.iter().any(|r| r.run_max_ns > 1.5 * r.run_min_ns);
    print_all(extent, records, &pairs);
    if records.iter().any(|r| r.machine.ground == "emulated") {
        println!("\n{}", wrapped(EMULATED, ""));
    }
    if shaky {
        println!("\n{}", wrapped(BUSY, ""));
    }
}

fn print_all(extent: Extent, records: &[Record], pairs: &[(&Record, &Record)]) {
    let pick = |f: &dyn Fn(&Record) -> bool| -> Vec<(&Record, &Record)> {
        pairs.iter().copied().filter(|(a, _)| f(a)).collect()
    };
    let note = "medians of the runs; flushes per million operations";
    if extent == Extent::Demo {
        compare("The same work, in one boot, in turns", note, pairs);
        return;
    }
    let test = |r: &Record| r.scenario.ends_with("_test");
    let lookup = |r: &Record| r.scenario.starts_with("lookup_");
    let other = |r: &Record| lookup(r) || test(r) || r.scenario == "info_read";
    let fast = |r: &Record| {
        !other(r) && r.live == 0 && (r.threads == 1 || r.scenario == "producer_consumer")
    };
    compare("How fast is the fast path?", note, &pick(&fast));
    map_ram(records, pairs);
    latencies(&pick(&fast));
    scaling(&pick(&|r| !other(r) && r.scenario != "producer_consumer"));
    growth(pairs);
    compare(
        "How fast is an address looked up?",
        "a wrong answer counts as a failure",
        &pick(&lookup),
    );
    readers(pairs);
    ablation(records);
    cure(records);
    limit(records, pairs);
    compare(
        "The tests of lib/test_vmalloc.c",
        "align_shift fails, by intention, for alignments that are larger than the space: the arena is the smaller one",
        &pick(&test),
    );
    instructions(records);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_fit_on_a_terminal() {
        for indent in ["", "  "] {
            for text in [EMULATED, BUSY, &"word ".repeat(100)] {
                let lines = wrapped(text, indent);
                assert!(lines.lines().all(|line| line.len() < 80), "{lines}");
                assert!(lines.lines().all(|line| line.starts_with(indent)));
                let words = |text: &str| {
                    text.split_whitespace()
                        .map(String::from)
                        .collect::<Vec<_>>()
                };
                assert_eq!(words(&lines), words(text));
            }
        }
    }
}
