// SPDX-License-Identifier: GPL-2.0

//! A table for each question.

use crate::{
    matrix::Extent,
    record::{Record, Setting, Switches},
    table::{wrapped, Table},
};

/// Without a unit: it is in the head, the same for the whole column.
fn ns(value: f64) -> String {
    match value {
        v if v < 10.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
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

fn times(ratio: f64) -> String {
    match ratio {
        r if r < 10.0 => format!("{r:.2}"),
        r => format!("{r:.1}"),
    }
}

fn ratio(a: f64, b: f64) -> String {
    if b > 0.0 {
        format!("{:.2}", a / b)
    } else {
        "-".into()
    }
}

/// How far the ratio varies: of each turn, the run of one side divided by the other side's of the same turn.
/// The least and the greatest of these.
fn turns(a: &Record, b: &Record) -> String {
    if a.runs_ns.len() != b.runs_ns.len() || b.runs_ns.iter().any(|ns| *ns <= 0.0) {
        return "-".into();
    }
    let ratios = a.runs_ns.iter().zip(&b.runs_ns).map(|(a, b)| a / b);
    let (least, greatest) = ratios.fold((f64::INFINITY, 0.0), |(least, greatest), ratio| {
        (ratio.min(least), ratio.max(greatest))
    });
    match greatest {
        0.0 => "-".into(),
        _ => format!("{}-{}", times(least), times(greatest)),
    }
}

/// The same for two measurements that had no turns: of any two of their runs.
fn range(a: &Record, b: &Record) -> String {
    if a.run_min_ns <= 0.0 || b.run_min_ns <= 0.0 {
        return "-".into();
    }
    let (least, greatest) = (a.run_min_ns / b.run_max_ns, a.run_max_ns / b.run_min_ns);
    format!("{}-{}", times(least), times(greatest))
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
pub fn setting(record: &Record) -> String {
    let mut text = record.scenario.clone();
    if let Some(name) = &record.recording {
        text = name.clone();
    } else if !record.scenario.ends_with("_test")
        && !["info_read", "replay"].contains(&&*record.scenario)
    {
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
        text += &format!(", {} live", round(record.live));
    }
    text
}

/// Whole thousands and millions in short, as the demo's table would not fit on a terminal otherwise.
fn round(number: u32) -> String {
    match number {
        n if n % 1_000_000 == 0 && n > 0 => format!("{}M", n / 1_000_000),
        n if n % 1_000 == 0 && n > 0 => format!("{}k", n / 1_000),
        n => n.to_string(),
    }
}

/// The results that compare both allocators as they are: in-tree and ours.
pub fn pairs(records: &[Record]) -> Vec<(&Record, &Record)> {
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
pub fn own_switches(records: &[Record]) -> Option<&Switches> {
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

const HEADS: [&str; 9] = [
    "scenario",
    "in-tree|ns",
    "in-tree|flushes",
    "vmapcache|ns",
    "vmapcache|flushes",
    "ratio|median",
    "ratio|turns",
    "failures|in-tree",
    "failures|vmapcache",
];

fn compare(title: &'static str, note: &'static str, pairs: &[(&Record, &Record)]) -> Table {
    comparison(title, pairs).with_note(note)
}

fn comparison(title: &'static str, pairs: &[(&Record, &Record)]) -> Table {
    // Without their columns, which say 0 nearly always, the table fits in 80.
    let failed = pairs.iter().any(|(a, b)| a.failures + b.failures > 0);
    let columns = HEADS.len() - if failed { 0 } else { 2 };
    let mut table = Table::new(title, &HEADS[..columns]);
    for (a, b) in pairs {
        let mut row = vec![
            setting(a),
            ns(a.median_ns),
            flushes(a),
            ns(b.median_ns),
            flushes(b),
            ratio(a.median_ns, b.median_ns),
            turns(a, b),
            failures(a),
            failures(b),
        ];
        row.truncate(columns);
        table.row(row);
    }
    table
}

/// The sides of a replay.
#[cfg(feature = "record")]
pub fn replayed(records: &[Record]) -> Table {
    let latency = |r: &Record| [r.p50_ns, r.p99_ns, r.p999_ns, r.max_ns];
    // The native ground has none.
    let timed = records.iter().flat_map(latency).any(|ns| ns.is_some());
    let mut heads = vec![
        "allocator",
        "ns of a request|median",
        "ns of a request|least",
    ];
    if timed {
        heads.extend(["of one|p50", "of one|p99", "of one|p99.9", "of one|max"]);
    }
    heads.extend(["flushes", "failed"]);
    let mut table = Table::new("How long does a request of the recording take?", &heads);
    for record in records {
        let mut row = vec![
            record.allocator.clone(),
            median(record),
            ns(record.run_min_ns),
        ];
        if timed {
            row.extend(latency(record).map(may));
        }
        row.extend([flushes(record), failures(record)]);
        table.row(row);
    }
    match records {
        [a, b] => table.with_note(format!(
            "in-tree / vmapcache: {} by the medians, {} by turns; flushes per million requests",
            ratio(a.median_ns, b.median_ns),
            turns(a, b)
        )),
        _ => table.with_note("flushes per million requests"),
    }
}

fn latencies(pairs: &[(&Record, &Record)]) -> Table {
    let heads = [
        "scenario",
        "in-tree|p50",
        "in-tree|p99",
        "in-tree|p99.9",
        "in-tree|max",
        "in-tree|held",
        "vmapcache|p50",
        "vmapcache|p99",
        "vmapcache|p99.9",
        "vmapcache|max",
        "vmapcache|held",
    ];
    let mut table = Table::new(
        "How long does the unlucky one wait? (ns, the clock's cost taken off)",
        &heads,
    );
    for (a, b) in pairs {
        let of = |r: &Record| [r.p50_ns, r.p99_ns, r.p999_ns, r.max_ns, r.held_max_ns].map(may);
        let mut row = vec![setting(a)];
        row.extend(of(a));
        row.extend(of(b));
        table.row(row);
    }
    let clock = pairs.iter().find_map(|(a, _)| a.clock_ns);
    table.with_note(format!(
        "clock: {} ns; held: the longest time that a real-time thread had to wait for its CPU",
        may(clock)
    ))
}

fn scaling(pairs: &[(&Record, &Record)]) -> Table {
    let heads = [
        "scenario",
        "ns|in-tree",
        "ns|vmapcache",
        "ratio|median",
        "ratio|turns",
        "times that of 1 thread|in-tree",
        "times that of 1 thread|vmapcache",
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
                turns(a, b),
                ratio(a.median_ns, one_a),
                ratio(b.median_ns, one_b),
            ]);
        }
    }
    table
        .with_note("with more threads than CPUs, an operation is charged with its share of the CPU")
}

fn growth(pairs: &[(&Record, &Record)]) -> Table {
    let heads = [
        "scenario",
        "ns|in-tree",
        "ns|vmapcache",
        "ratio|median",
        "ratio|turns",
        "times that of 0 live|in-tree",
        "times that of 0 live|vmapcache",
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
                turns(a, b),
                ratio(a.median_ns, base_a.median_ns),
                ratio(b.median_ns, base_b.median_ns),
            ]);
        }
    }
    table
}

fn readers(pairs: &[(&Record, &Record)]) -> Table {
    let heads = [
        "scenario",
        "ns of a read|in-tree",
        "ns of a read|vmapcache",
        "CPU ns of a write|in-tree",
        "CPU ns of a write|vmapcache",
        "CPU ns of a write|ratio",
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
    table.with_note("/proc/vmallocinfo and /proc/vmapcacheinfo, read whole over and over")
}

/// So many `of` others, times `scale`.
fn share(what: Option<u64>, of: Option<u64>, scale: f64) -> String {
    match what.zip(of) {
        Some((what, of)) if of > 0 => format!("{:.1}", what as f64 * scale / of as f64),
        _ => "-".into(),
    }
}

/// What a record's switches say that the module's own do not.
pub fn switched(record: &Record, own: &Switches) -> String {
    let changed = record
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
    off.join(", ")
}

fn ablation(records: &[Record]) -> Table {
    let heads = [
        "scenario",
        "without",
        "ns|without",
        "ns|with all",
        "costs|median",
        "costs|range",
        "flushes/M",
        "locks/1000",
        "visited",
    ];
    let mut table = Table::new(
        "What is each idea worth? (vmapcache, one switched off)",
        &heads,
    );
    let Some(own) = own_switches(records) else {
        return table;
    };
    let ours = || {
        let ours = records.iter().filter(|r| r.allocator == "vmapcache");
        ours.filter(|r| r.scenario != "lazy_search")
    };
    for r in ours().filter(|r| r.switches != *own) {
        let whole = ours().find(|w| w.switches == *own && w.same(r));
        table.row(vec![
            setting(r),
            switched(r, own),
            median(r),
            whole.map_or("-".into(), |w| ns(w.median_ns)),
            whole.map_or("-".into(), |w| ratio(r.median_ns, w.median_ns)),
            whole.map_or("-".into(), |w| range(r, w)),
            flushes(r),
            share(r.shared_locks, r.flush_ops, 1e3),
            share(r.visited, r.searches, 1.0),
        ]);
    }
    table.with_note("locks: those that other CPUs take as well; visited: extents looked at in a search for free space; range: of the ratios of any two runs")
}

/// Searches among lazy areas.
fn cure(records: &[Record]) -> Table {
    let heads = [
        "lazy areas",
        "visited|with",
        "visited|without",
        "ns|with",
        "ns|without",
        "costs|median",
        "costs|range",
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
            range(without, with),
        ]);
    }
    table.with_note("areas freed and not yet purged, a hole that is too small behind each; magazines off, or nothing would be searched")
}

/// Instructions of an operation, if something counted them.
pub fn instructions(records: &[Record]) -> Table {
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
    table.with_note(match source {
        Some("icount") => "counted by the emulator, in a boot of its own with one CPU: the least of many short runs",
        _ => "counted by the processor",
    })
}

/// What the work of a record takes without an allocator, if somebody measured that.
pub fn limit_of(records: &[Record], record: &Record) -> Option<f64> {
    let map = bare(records, "bare_map", record.pages).map(|r| r.median_ns);
    let page = bare(records, "bare_page", record.pages).map(|r| r.median_ns);
    match record.scenario.as_str() {
        "vmap" => map,
        "vmalloc" => map.zip(page).map(|(m, p)| m + p),
        _ => None,
    }
}

fn limit(records: &[Record], pairs: &[(&Record, &Record)]) -> Table {
    let heads = [
        "scenario",
        "ns|bare",
        "ns|in-tree",
        "ns|vmapcache",
        "times bare|in-tree",
        "times bare|vmapcache",
    ];
    let mut table = Table::new(
        "How far from the limit? (page tables and pages without an allocator)",
        &heads,
    );
    let alone = |(a, _): &&(&Record, &Record)| a.threads == 1 && a.live == 0;
    for (a, b) in pairs.iter().filter(alone) {
        let Some(bare) = limit_of(records, a) else {
            continue;
        };
        table.row(vec![
            setting(a),
            ns(bare),
            median(a),
            median(b),
            ratio(a.median_ns, bare),
            ratio(b.median_ns, bare),
        ]);
    }
    table
}

fn map_ram(records: &[Record], pairs: &[(&Record, &Record)]) -> Table {
    let mut table = Table::new(
        "Against vm_map_ram()",
        &[
            "scenario",
            "ns|vm_map_ram",
            "ns|vmapcache",
            "ratio|median",
            "ratio|turns",
        ],
    );
    for (a, b) in pairs.iter().filter(|(a, _)| a.scenario == "vmap") {
        if let Some(r) = side(records, "vm_map_ram", a) {
            table.row(vec![
                setting(a),
                median(r),
                median(b),
                ratio(r.median_ns, b.median_ns),
                turns(r, b),
            ]);
        }
    }
    table
}

/// Below tables of an emulated machine.
const EMULATED: &str = "Ground: emulated. An emulator charges nothing for a cache line that another \
     CPU has, and little for a load: neither times nor ratios are a real machine's (`make native` has \
     those).";

/// Below tables with times that vary much.
pub const BUSY: &str =
    "~ the slowest run took 1.5 times as long as the fastest: this machine was busy";

/// Whether a table has a time that varies much.
pub fn busy(records: &[Record]) -> bool {
    records.iter().any(|r| r.run_max_ns > 1.5 * r.run_min_ns)
}

/// Prints all tables that have records.
pub fn print(extent: Extent, records: &[Record]) {
    // The demo's one table shows the ratios of all turns instead.
    let shaky = extent != Extent::Demo && busy(records);
    for table in all(extent, records) {
        print!("{}", table.text());
    }
    if records.iter().any(|r| r.machine.ground == "emulated") {
        println!("\n{}", wrapped(EMULATED, ""));
    }
    if shaky {
        println!("\n{}", wrapped(BUSY, ""));
    }
}

/// A table for each question; those that no record answers are empty.
pub fn all(extent: Extent, records: &[Record]) -> Vec<Table> {
    let pairs = &pairs(records);
    let pick = |f: &dyn Fn(&Record) -> bool| -> Vec<(&Record, &Record)> {
        pairs.iter().copied().filter(|(a, _)| f(a)).collect()
    };
    let note = "medians of the runs, and flushes per million operations; turns: the least and the greatest \
        ratio of two runs of the same turn";
    if extent == Extent::Demo {
        let title = "The same work, in one boot, in turns";
        return vec![compare(title, note, pairs)];
    }
    let test = |r: &Record| r.scenario.ends_with("_test");
    let lookup = |r: &Record| r.scenario.starts_with("lookup_");
    let replay = |r: &Record| r.scenario == "replay";
    let other = |r: &Record| lookup(r) || test(r) || replay(r) || r.scenario == "info_read";
    let fast = |r: &Record| {
        !other(r) && r.live == 0 && (r.threads == 1 || r.scenario == "producer_consumer")
    };
    vec![
        compare("How fast is the fast path?", note, &pick(&fast)),
        map_ram(records, pairs),
        latencies(&pick(&fast)),
        scaling(&pick(&|r| !other(r) && r.scenario != "producer_consumer")),
        growth(pairs),
        compare(
            "How fast is an address looked up?",
            "a wrong answer counts as a failure",
            &pick(&lookup),
        ),
        readers(pairs),
        ablation(records),
        cure(records),
        limit(records, pairs),
        compare(
            "What do requests of the kernel itself cost?",
            "recorded workloads, replayed (vmapcache replay): addresses alone; each CPU of the recording is a thread",
            &pick(&replay),
        ),
        compare(
            "The tests of lib/test_vmalloc.c",
            "align_shift fails, by intention, for alignments that are larger than the space: the arena is the smaller one",
            &pick(&test),
        ),
        instructions(records),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(allocator: &str, runs_ns: &[f64]) -> Record {
        let text = runs_ns.iter().map(f64::to_string).collect::<Vec<_>>();
        let line = format!(
            "scenario=lookup_start allocator={allocator} threads=1 pages=1 align=1 writers=0 live=1000 \
             runs_ns={} median_ns={} run_min_ns=1 run_max_ns=2 cpu_ns=1 ops=1000 failures=0 \
             flushes=7 flush_ops=1000",
            text.join(","),
            runs_ns[runs_ns.len() / 2]
        );
        Record::parse(&line, &Switches::new(), &Default::default()).unwrap()
    }

    #[test]
    fn the_ratio_of_each_turn_counts() {
        let (a, b) = (
            record("in-tree", &[10.0, 20.0, 30.0]),
            record("vmapcache", &[10.0, 40.0, 12.0]),
        );
        assert_eq!(turns(&a, &b), "0.50-2.50");
        assert_eq!(turns(&a, &record("vmapcache", &[1.0])), "-", "other turns");
        assert_eq!(range(&a, &b), "0.50-2.00");
        assert_eq!(turns(&a, &record("vmapcache", &[0.0, 1.0, 2.0])), "-");
    }

    #[test]
    fn a_column_has_one_unit() {
        assert_eq!(
            [0.5, 99.6, 20_700_000.0].map(ns),
            ["0.5", "100", "20700000"]
        );
    }

    #[test]
    fn the_table_of_the_demo_fits_on_a_terminal() {
        let (a, b) = (
            record("in-tree", &[171642.0; 3]),
            record("vmapcache", &[9144.0, 171642.0, 144298.0]),
        );
        let text = comparison("T", &[(&a, &b)]).text();
        assert!(text.contains("lookup_start 1p, 1k live"), "{text}");
        assert!(text.lines().all(|line| line.len() < 80), "{text}");
    }

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
