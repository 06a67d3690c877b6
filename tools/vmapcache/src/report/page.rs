// SPDX-License-Identifier: GPL-2.0

//! The page.

use super::{
    changes::{figure, Change, Changes},
    data::{shown, File, Kind, Pair},
    figures::{self, Figure},
    said,
};
use crate::{matrix::Extent, output, table::Table, tables};
use maud::{html, Markup, PreEscaped, DOCTYPE};
use plotters::style::RGBColor;
use serde_json::Value;

const STYLE: &str = include_str!("style.css");
const REPLAY: &str = "A recorded workload";

fn colour(RGBColor(red, green, blue): RGBColor) -> String {
    format!("{red:02X}{green:02X}{blue:02X}")
}

fn plot(figure: &Figure) -> Markup {
    html! {
        figure {
            h3 { (figure.title) }
            div.legend {
                @for (shade, name) in &figure.legend {
                    span { i class={ "c" (colour(*shade)) } style={ "background:#" (colour(*shade)) } {} (name) }
                }
            }
            // Our own drawing: the crate that wrote it has escaped its text.
            (PreEscaped(&figure.svg))
            figcaption { (figure.axes) }
        }
    }
}

fn table(table: &Table) -> Markup {
    let heads = table.heads();
    let grouped = heads.iter().any(|(group, _)| !group.is_empty());
    html! {
        div.scroll tabindex="0" {
            table {
                caption { (table.title()) }
                thead {
                    @if grouped {
                        tr {
                            @for group in heads.chunk_by(|a, b| a.0 == b.0) {
                                th.group colspan=(group.len()) scope="colgroup" { (group[0].0) }
                            }
                        }
                    }
                    tr { @for (_, name) in heads { th scope="col" { (name) } } }
                }
                tbody {
                    @for row in table.rows() { tr { @for cell in row { td { (cell) } } } }
                }
            }
        }
        @if !table.note().is_empty() { p.note { (table.note()) } }
    }
}

/// These come first; all others follow by the alphabet.
const FIRST: [&str; 9] = [
    "workload",
    "title",
    "scenario",
    "allocator",
    "cpus",
    "unit",
    "threads",
    "pages",
    "live",
];

/// All that the file has. What all objects agree on is said once.
fn data(file: &File) -> Markup {
    let mut columns: Vec<&str> = Vec::new();
    for object in file.objects.iter().filter_map(Value::as_object) {
        for key in object.keys() {
            if !columns.contains(&key.as_str()) {
                columns.push(key);
            }
        }
    }
    columns.sort_by_key(|key| {
        let first = FIRST.iter().position(|first| first == key);
        (first.unwrap_or(FIRST.len()), *key)
    });
    let cell = |object: &Value, key: &str| object.get(key).map_or(String::new(), shown);
    let first = file.objects.first();
    let (shared, columns): (Vec<&str>, Vec<&str>) = columns.into_iter().partition(|key| {
        let one = first.map(|object| cell(object, key));
        file.objects
            .iter()
            .all(|object| Some(cell(object, key)) == one)
    });
    let shared = shared.into_iter().filter_map(|key| {
        let text = cell(first?, key);
        (!text.is_empty()).then(|| format!("{key} {text}"))
    });
    let shared: Vec<String> = shared.collect();
    html! {
        details {
            summary { "All figures of " (file.name) " (" (file.objects.len()) " rows)" }
            p.note { "The same in each row: " (shared.join("; ")) }
            div.scroll tabindex="0" {
                table {
                    thead { tr { @for key in &columns { th scope="col" { (key) } } } }
                    tbody {
                        @for object in &file.objects {
                            tr { @for key in &columns { td { (cell(object, key)) } } }
                        }
                    }
                }
            }
        }
    }
}

/// What build/native.json has beyond the tables of `bench`.
fn native_table(file: &File) -> Table {
    let mut table = Table::new(
        "How fast is it on real cores? (ns)",
        &[
            "work",
            "in-tree|least",
            "in-tree|median",
            "vmapcache|least",
            "vmapcache|median",
            "ratio|median",
            "ratio|turns",
        ],
    );
    let least = |runs: &[f64]| runs.iter().copied().fold(f64::INFINITY, f64::min);
    for pair in &file.pairs {
        let median = |runs: &[f64]| {
            let mut runs = runs.to_vec();
            runs.sort_by(f64::total_cmp);
            runs.get(runs.len() / 2).copied().unwrap_or(0.0)
        };
        table.row(vec![
            pair.name.clone(),
            figure(least(&pair.theirs)),
            figure(median(&pair.theirs)),
            figure(least(&pair.ours)),
            figure(median(&pair.ours)),
            figure(pair.ratio),
            said::range(pair.turns()),
        ]);
    }
    table.with_note(
        "in-tree: get_vm_area() and free_vm_area(), or vm_map_ram() where the work says so",
    )
}

/// Locks, by the number of CPUs of which each takes its turn, and how long one is held.
fn locks_table(file: &File) -> Table {
    let mut table = Table::new(
        "Locks and lines on real cores",
        &[
            "work",
            "side",
            "locks per 1,000|CPUs",
            "locks per 1,000|taken",
            "longest hold, ns",
        ],
    );
    let mut lines = Vec::new();
    for (record, cell) in file.records.iter().zip(&file.natives) {
        lines.extend(&cell.line_ns);
        let hold = cell.longest_hold_ns.map_or("-".into(), figure);
        let locks = cell.locks_per_1000.clone().unwrap_or_default();
        let row = |cpus: String, taken: String, hold: String| {
            vec![
                cell.name().into(),
                record.allocator.clone(),
                cpus,
                taken,
                hold,
            ]
        };
        if locks.is_empty() && cell.longest_hold_ns.is_some() {
            table.row(row("-".into(), "-".into(), hold.clone()));
        }
        for (cpus, taken) in locks {
            table.row(row(cpus.to_string(), figure(taken), hold.clone()));
        }
    }
    lines.sort_by(f64::total_cmp);
    match (lines.first(), lines.get(lines.len() / 2), lines.last()) {
        (Some(least), Some(median), Some(most)) => table.with_note(format!(
            "a cache line that goes from one CPU to another costs {} ns here (median; {} to {})",
            figure(*median),
            figure(*least),
            figure(*most)
        )),
        _ => table,
    }
}

fn live_table(file: &File) -> Table {
    let mut table = Table::new(
        "What do unmodified workloads gain?",
        &[
            "workload",
            "boot|CPUs",
            "boot|unit",
            "median of a round|in-tree",
            "median of a round|vmapcache",
            "ratio|median",
            "ratio|turns",
            "verdict",
        ],
    );
    let median = |name: &str, allocator: &str, pair: &super::data::Pair| {
        let object = file.objects.iter().find(|object| {
            let is =
                |key: &str, text: &str| object.get(key).is_some_and(|value| shown(value) == text);
            is("workload", name)
                && is("allocator", allocator)
                && is("unit", &pair.unit)
                && is("cpus", &pair.cpus.to_string())
        });
        let median = object.and_then(|o| o.get(format!("median_{}", pair.unit))?.as_f64());
        median.map_or("-".into(), figure)
    };
    for pair in &file.pairs {
        table.row(vec![
            pair.name.clone(),
            pair.cpus.to_string(),
            pair.unit.clone(),
            median(&pair.name, "in-tree", pair),
            median(&pair.name, "vmapcache", pair),
            figure(pair.ratio),
            said::range(pair.turns()),
            pair.said.clone(),
        ]);
    }
    table.with_note(
        "a gain or a loss: chance alone would show as much less than once in 20 times; not served: no call of it \
         reached vmapcache",
    )
}

/// What latencies of single operations are, and why some have none.
fn latencies(file: &File) -> Option<String> {
    let timed = |pair: &&Pair| pair.quantiles.iter().all(|side| !side.is_empty());
    let any = file.pairs.iter().any(|pair| timed(&pair));
    let number = |key: &str| {
        file.objects
            .iter()
            .find_map(|object| object.get(key)?.as_f64())
    };
    match file.kind {
        Kind::Bench | Kind::Replay if any => None,
        Kind::Native if any => Some(format!(
            "Latencies are of pairs that were timed one by one, and are longer than in a row: the clock waits for all \
             before it. Its own cost, {} ns, is taken off; it counts in steps of {} ns. Lookups, purges, replays, and \
             pairs whose halves are made by two CPUs were timed together.",
            figure(number("clock_ns")?),
            number("clock_step_ns").map_or("-".into(), figure),
        )),
        Kind::Bench | Kind::Replay | Kind::Native => Some(
            "No latencies: these data have only times of many operations together.".into(),
        ),
        Kind::Live => {
            let without = file.pairs.iter().filter(|pair| pair.unit == "ns" && !timed(pair));
            let mut names: Vec<&str> = without.map(|pair| pair.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let mut text = String::new();
            if any {
                text += "Latencies are of the operations that a workload's program makes, whole system calls, in the \
                         median round. ";
            }
            if !names.is_empty() {
                text += &format!(
                    "No latencies, as a round is one operation: {}. ",
                    names.join(", ")
                );
            }
            if file.pairs.iter().any(|pair| pair.unit != "ns") {
                text += "A boot that counts instructions has none: its clock counts all tasks.";
            }
            (!text.is_empty()).then_some(text)
        }
    }
}

fn section(file: &File) -> Result<Markup, String> {
    let ground = file.ground();
    let (id, title, command) = match file.kind {
        Kind::Native => ("native", "On real cores", "make native"),
        Kind::Replay => ("replay", REPLAY, "vmapcache replay"),
        Kind::Bench => ("bench", "In the kernel", "make bench"),
        Kind::Live => ("live", "Unmodified workloads", "make live"),
    };
    let tables = match file.kind {
        Kind::Bench | Kind::Replay => tables::all(Extent::Whole, &file.records),
        Kind::Native => vec![native_table(file), locks_table(file)],
        Kind::Live => vec![live_table(file)],
    };
    let failed = file
        .objects
        .iter()
        .filter(|object| object.get("result").is_some_and(|r| r != "ok"));
    let failed: Vec<String> = failed
        .map(|object| {
            let of = |key| object.get(key).map_or(String::new(), shown);
            format!("{} {}: {}", of("workload"), of("result"), of("why"))
        })
        .collect();
    Ok(html! {
        section id=(id) {
            h2 { (title) " (ground " (ground) ")" }
            p.dim { (file.origin()) "; " code { (command) } ", " (file.name) }
            p { (said::of_ground(&ground)) }
            @if !failed.is_empty() { p { (failed.join("; ")) } }
            div.plots { @for figure in figures::of(file)? { (plot(&figure)) } }
            @for one in tables.iter().filter(|table| !table.rows().is_empty()) { (table(one)) }
            @if matches!(file.kind, Kind::Bench | Kind::Replay) && tables::busy(&file.records) { p.note { (tables::BUSY) } }
            @if let Some(text) = latencies(file) { p.note { (text.trim_end()) } }
            (data(file))
        }
    })
}

fn changed(changes: &Changes) -> Markup {
    let rows = |class: &str, list: &[Change]| {
        html! {
            @for change in list {
                tr {
                    td class=(class) { (class) }
                    td { (change.name) }
                    td { (change.what) }
                    td { (figure(change.old)) }
                    td { (figure(change.new)) }
                    td { (format!("{:+.1} %", change.gain * 100.0)) }
                }
            }
        }
    };
    html! {
        section id="changes" {
            h2 { "What changed" }
            p { (changes.summary()) "." }
            @if !changes.losses.is_empty() || !changes.gains.is_empty() {
                div.scroll tabindex="0" {
                    table {
                        thead { tr { @for name in ["", "setting", "figure", "before", "now", "better by"] { th scope="col" { (name) } } } }
                        tbody { (rows("loss", &changes.losses)) (rows("gain", &changes.gains)) }
                    }
                }
            }
            p.note {
                "A ratio changed beyond noise if all its turns are on one side of all earlier ones, and the medians \
                 differ by more than 5 %; a count of instructions, if it differs by more than 2 %."
            }
        }
    }
}

pub fn page(files: &[File], changes: Option<&Changes>) -> Result<String, String> {
    let sections: Vec<Markup> = files.iter().map(section).collect::<Result<_, _>>()?;
    let replayed = files.iter().any(|file| file.kind == Kind::Replay);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "vmapcache and the in-tree allocator" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "vmapcache and the in-tree allocator, compared" }
                ol.said { @for line in said::lines(files) { li { (line) } } }
                nav {
                    @if changes.is_some() { a href="#changes" { "What changed" } }
                    @for file in files {
                        @match file.kind {
                            Kind::Native => a href="#native" { "On real cores" },
                            Kind::Replay => a href="#replay" { (REPLAY) },
                            Kind::Bench => a href="#bench" { "In the kernel" },
                            Kind::Live => a href="#live" { "Unmodified workloads" },
                        }
                    }
                    a href="#repeat" { "How to repeat it" }
                }
                @if let Some(changes) = changes { (changed(changes)) }
                @for section in &sections { (section) }
                section id="repeat" {
                    h2 { "How to repeat it" }
                    @if replayed {
                        p { "As root, on a kernel with the modules installed:" }
                        pre {
                            "vmapcache record -- make -j4\n"
                            "vmapcache replay vmapcache.rec -O json >replay.json\n"
                            "vmapcache report replay.json -o report.html"
                        }
                    }
                    @if !said::only_replayed(files) {
                        p { "In a checkout of vmapcache at the commit above, on Debian 12 or 13 (x86-64):" }
                        pre {
                            "make native         # on real cores, six minutes\n"
                            "make bench          # in the kernel, in the VM\n"
                            "make live           # unmodified workloads, in the VM\n"
                            "make report         # this page\n"
                            "make report OLD=an-older-bench.json   # and what has changed since"
                        }
                    }
                    p.note {
                        "Runs of both allocators take turns, A B A B, in one boot or process. A ratio above 1 says that \
                         vmapcache took less. Turns: the least and the greatest ratio of two runs of the same turn; if 1 is \
                         between them, no difference is shown."
                    }
                }
            }
        }
    };
    // Control characters, from whatever file: a browser may drop them, and a terminal that shows the source obeys them.
    let page = page.into_string();
    let lines: Vec<_> = page.split('\n').map(output::plain).collect();
    Ok(lines.join("\n"))
}
