// SPDX-License-Identifier: GPL-2.0

//! Which plots a file's data make.

use super::{
    data::{File, Kind, Pair, Quantiles, Verdict, ALL},
    plots::{self, Mark, Row, Series, FASTER, IN_TREE, OPEN, OURS, SLOWER},
};
use crate::{
    record::Record,
    tables::{self, own_switches, setting},
};
use plotters::style::RGBColor;
use std::collections::BTreeMap;

pub struct Figure {
    pub title: String,
    /// What its axes are.
    pub axes: &'static str,
    pub legend: Vec<(RGBColor, &'static str)>,
    pub svg: String,
}

const SIDES: [(RGBColor, &str); 2] = [(IN_TREE, "in-tree"), (OURS, "vmapcache")];
const VERDICTS: [(RGBColor, &str); 3] = [
    (FASTER, "vmapcache is better"),
    (SLOWER, "in-tree is better"),
    (OPEN, "no difference shown"),
];
const RATIO: &str =
    "in-tree divided by vmapcache: the medians, and the least and the greatest of all turns";

/// Plots of at most this many rows stay together with their scale on a screen.
const ROWS: usize = 14;

struct Figures(Vec<Figure>);

impl Figures {
    fn rows(
        &mut self,
        title: &str,
        axes: &'static str,
        legend: &[(RGBColor, &'static str)],
        rows: Vec<Row>,
    ) -> Result<(), String> {
        self.rows_of(title, axes, legend, rows, true)
    }

    fn rows_of(
        &mut self,
        title: &str,
        axes: &'static str,
        legend: &[(RGBColor, &'static str)],
        rows: Vec<Row>,
        ratios: bool,
    ) -> Result<(), String> {
        let parts = rows.chunks(ROWS).count();
        for (n, part) in rows.chunks(ROWS).enumerate() {
            let part_of = match parts {
                1 => String::new(),
                _ => format!(" ({} of {parts})", n + 1),
            };
            self.0.push(Figure {
                title: format!("{title}{part_of}"),
                axes,
                legend: legend.to_vec(),
                svg: plots::rows(part, ratios)?,
            });
        }
        Ok(())
    }

    fn ratios<'a>(
        &mut self,
        title: &str,
        pairs: impl Iterator<Item = &'a Pair>,
    ) -> Result<(), String> {
        let rows = pairs.map(|pair| Row {
            name: pair.name.clone(),
            marks: vec![Mark {
                value: pair.ratio,
                spread: pair.turns(),
                colour: match pair.verdict {
                    Verdict::Faster => FASTER,
                    Verdict::Slower => SLOWER,
                    Verdict::Open | Verdict::NotServed => OPEN,
                },
            }],
        });
        self.rows(title, RATIO, &VERDICTS, rows.collect())
    }

    /// A point that stands alone is no line.
    fn lines(
        &mut self,
        title: &str,
        axes: &'static str,
        series: Vec<Series>,
    ) -> Result<(), String> {
        self.lines_named(title, axes, series, plots::number)
    }

    fn lines_named(
        &mut self,
        title: &str,
        axes: &'static str,
        series: Vec<Series>,
        name: fn(f64) -> String,
    ) -> Result<(), String> {
        let series: Vec<Series> = series
            .into_iter()
            .filter(|one| one.points.len() > 1)
            .collect();
        if !series.is_empty() {
            self.0.push(Figure {
                title: title.into(),
                axes,
                legend: SIDES.to_vec(),
                svg: plots::lines(&series, name)?,
            });
        }
        Ok(())
    }
}

/// The medians of both sides over something that grows, for all records that `chosen` takes.
fn growth(
    records: &[(&Record, &Record)],
    over: impl Fn(&Record) -> u32,
    chosen: impl Fn(&Record) -> bool,
) -> Vec<Series> {
    [IN_TREE, OURS]
        .into_iter()
        .enumerate()
        .map(|(side, colour)| {
            let points: BTreeMap<u32, f64> = records
                .iter()
                .filter(|(a, _)| chosen(a))
                .map(|(a, b)| (over(a), [a, b][side].median_ns))
                .collect();
            Series {
                colour,
                hollow: false,
                points: points.into_iter().map(|(x, y)| (x.into(), y)).collect(),
            }
        })
        .collect()
}

/// What the records of a plot over live areas or threads share but for that.
fn plain(record: &Record) -> bool {
    record.pages == 1 && record.align == 1 && record.writers == 0 && record.lazy == 0
}

fn percent(share: f64) -> String {
    if share == f64::from(ALL) {
        "max".into()
    } else {
        plots::number(share / 100.0)
    }
}

/// A curve for each side of what single operations took.
fn distribution(all: &mut Figures, pair: &Pair, axes: &'static str) -> Result<(), String> {
    let [theirs, ours] = &pair.quantiles;
    let series = [(theirs, IN_TREE), (ours, OURS)].map(|(quantiles, colour)| Series {
        colour,
        hollow: false,
        // Two quartiles less leave room for the names.
        points: quantiles
            .iter()
            .filter(|(share, _)| ![2_500, 7_500].contains(*share))
            .map(|(share, ns)| (f64::from(*share), *ns))
            .collect(),
    });
    all.lines_named(
        &format!("Latency: {}", pair.name),
        axes,
        series.into(),
        percent,
    )
}

/// Of the settings that say most: an allocation alone, beside most threads, beside most areas.
fn distributions(all: &mut Figures, pairs: &[(&Record, &Pair)]) -> Result<(), String> {
    for scenario in ["va_only", "vmap", "vmalloc"] {
        let this = || {
            let pairs = pairs.iter();
            pairs.filter(move |(a, _)| a.scenario == scenario && plain(a))
        };
        let alone = this().find(|(a, _)| a.threads == 1 && a.live == 0);
        let crowd = this().filter(|(a, _)| a.threads > 1 && a.live == 0);
        let many = this().filter(|(a, _)| a.threads == 1 && a.live > 0);
        let chosen = [
            alone,
            crowd.max_by_key(|(a, _)| a.threads),
            many.max_by_key(|(a, _)| a.live),
        ];
        for (_, pair) in chosen.into_iter().flatten() {
            distribution(
                all,
                pair,
                "across: percent of the operations; up: ns that none of them exceeded, the clock's cost taken off",
            )?;
        }
    }
    Ok(())
}

/// How far the slow operations are from the usual ones: from the median to the first of these places that there is.
fn tails<'a>(pairs: impl Iterator<Item = &'a Pair>, ends: &[u32]) -> Vec<Row> {
    let mark = |quantiles: &Quantiles, colour| {
        let p50 = *quantiles.get(&5_000)?;
        let end = ends.iter().find_map(|share| quantiles.get(share))?;
        Some(Mark {
            value: p50,
            spread: Some((p50, *end)),
            colour,
        })
    };
    let rows = pairs.filter_map(|pair| {
        let [theirs, ours] = &pair.quantiles;
        Some(Row {
            name: pair.name.clone(),
            marks: vec![mark(theirs, IN_TREE)?, mark(ours, OURS)?],
        })
    });
    rows.collect()
}

const TAILS: &str =
    "ns: the dot is the median; of 1,000 operations one takes longer than where the line ends";

/// Of each idea that was switched off: how much longer an operation took.
fn ablation(records: &[Record]) -> Vec<Row> {
    let Some(own) = own_switches(records) else {
        return Vec::new();
    };
    let ours = || {
        records
            .iter()
            .filter(|r| r.allocator == "vmapcache" && r.scenario != "lazy_search")
    };
    ours()
        .filter(|r| r.switches != *own)
        .filter_map(|without| {
            let with = ours().find(|r| r.switches == *own && r.same(without))?;
            Some(Row {
                name: format!("{}: {}", setting(without), tables::switched(without, own)),
                marks: vec![Mark {
                    value: without.median_ns / with.median_ns,
                    spread: Some((
                        without.run_min_ns / with.run_max_ns,
                        without.run_max_ns / with.run_min_ns,
                    )),
                    colour: OURS,
                }],
            })
        })
        .collect()
}

fn limit(records: &[Record], pairs: &[(&Record, &Record)]) -> Vec<Row> {
    let alone = pairs.iter().filter(|(a, _)| a.threads == 1 && a.live == 0);
    alone
        .filter_map(|(a, b)| {
            let bare = tables::limit_of(records, a)?;
            let mark = |record: &Record, colour| Mark {
                value: record.median_ns / bare,
                spread: Some((record.run_min_ns / bare, record.run_max_ns / bare)),
                colour,
            };
            Some(Row {
                name: setting(a),
                marks: vec![mark(a, IN_TREE), mark(b, OURS)],
            })
        })
        .collect()
}

fn bench(file: &File) -> Result<Vec<Figure>, String> {
    let mut all = Figures(Vec::new());
    let pairs = tables::pairs(&file.records);
    let picked = |chosen: &dyn Fn(&Record) -> bool| -> Vec<&Pair> {
        // `pairs` and `file.pairs` have the same order.
        let both = pairs.iter().zip(&file.pairs);
        both.filter(|((a, _), _)| chosen(a))
            .map(|(_, pair)| pair)
            .collect()
    };
    let test = |r: &Record| r.scenario.ends_with("_test");
    let lookup = |r: &Record| r.scenario.starts_with("lookup_");
    let many = |r: &Record| r.threads > 1 || r.live > 0;
    let rest = |r: &Record| !test(r) && !lookup(r);
    for (title, chosen) in [
        (
            "Ratios: the fast path",
            &(|r: &Record| rest(r) && !many(r)) as &dyn Fn(&Record) -> bool,
        ),
        ("Ratios: threads and live areas", &|r: &Record| {
            rest(r) && many(r)
        }),
        ("Ratios: looking up an address", &lookup),
        ("Ratios: the tests of lib/test_vmalloc.c", &test),
    ] {
        all.ratios(title, picked(chosen).into_iter())?;
    }
    for scenario in ["va_only", "vmap", "vmalloc"] {
        let this = |r: &Record| r.scenario == scenario && plain(r);
        all.lines(
            &format!("Growth with live areas: {scenario}, 1 page"),
            "across: areas that are there already; up: ns of an operation",
            growth(&pairs, |r| r.live, |r| this(r) && r.threads == 1),
        )?;
        all.lines(
            &format!("Growth with threads: {scenario}, 1 page"),
            "across: threads; up: ns of an operation",
            growth(&pairs, |r| r.threads, |r| this(r) && r.live == 0),
        )?;
    }
    let both = pairs.iter().zip(&file.pairs);
    let both: Vec<(&Record, &Pair)> = both.map(|((a, _), pair)| (*a, pair)).collect();
    distributions(&mut all, &both)?;
    all.rows_of(
        "Latency of single operations",
        TAILS,
        &SIDES,
        tails(picked(&rest).into_iter(), &[9_990]),
        false,
    )?;
    let ours = [(OURS, "vmapcache")];
    all.rows(
        "What each idea is worth",
        "the time with one idea switched off, divided by the time with all: medians, and any two runs",
        &ours,
        ablation(&file.records),
    )?;
    all.rows(
        "How far from the limit",
        "times the bare work on page tables and pages, which has no allocator",
        &SIDES,
        limit(&file.records, &pairs),
    )?;
    let locks: Vec<Row> = file
        .records
        .iter()
        .filter(|r| {
            r.allocator == "vmapcache"
                && Some(&r.switches) == own_switches(&file.records)
                && rest(r)
                && r.scenario != "purge"
                && r.scenario != "info_read"
        })
        .filter_map(|r| {
            let (locks, ops) = r.shared_locks.zip(r.flush_ops.filter(|ops| *ops > 0))?;
            Some(Row {
                name: setting(r),
                marks: vec![Mark {
                    value: locks as f64 * 1e3 / ops as f64,
                    spread: None,
                    colour: OURS,
                }],
            })
        })
        .filter(|row| row.marks.iter().all(|mark| mark.value > 0.0))
        .collect();
    all.rows(
        "Locks that CPUs share",
        "taken for 1,000 operations",
        &ours,
        locks,
    )?;
    Ok(all.0)
}

fn native(file: &File) -> Result<Vec<Figure>, String> {
    let mut all = Figures(Vec::new());
    all.ratios("Ratios on real cores", file.pairs.iter())?;
    let cells: Vec<(&Record, &Record)> = {
        let of = |allocator: &'static str| {
            let both = file.records.iter().zip(&file.natives);
            both.filter(move |(r, _)| r.allocator == allocator)
        };
        of("vmapcache")
            .filter_map(|(ours, cell)| {
                let (theirs, _) = of("in-tree").find(|(_, other)| other.title == cell.title)?;
                Some((theirs, ours))
            })
            .collect()
    };
    let this = |r: &Record| r.scenario == "va_only" && plain(r);
    all.lines(
        "Growth with live areas: 1 page",
        "across: areas that are there already; up: ns of an operation",
        growth(&cells, |r| r.live, |r| this(r) && r.threads == 1),
    )?;
    all.lines(
        "Growth with threads: 1 page",
        "across: threads; up: ns of an operation",
        growth(&cells, |r| r.threads, |r| this(r) && r.live == 0),
    )?;
    let named = |ours: &Record| {
        let mut both = file.records.iter().zip(&file.natives);
        let (_, cell) = both.find(|(r, _)| std::ptr::eq(*r, ours))?;
        file.pairs.iter().find(|pair| pair.name == cell.name())
    };
    let both = cells
        .iter()
        .filter_map(|(_, ours)| Some((*ours, named(ours)?)));
    distributions(&mut all, &both.collect::<Vec<_>>())?;
    all.rows_of(
        "Latency of single operations",
        TAILS,
        &SIDES,
        tails(file.pairs.iter(), &[9_990]),
        false,
    )?;
    let mut titles: Vec<&str> = Vec::new();
    for cell in &file.natives {
        if cell.locks_per_1000.is_some() && !titles.contains(&cell.title.as_str()) {
            titles.push(&cell.title);
        }
    }
    for title in titles {
        let series = [("in-tree", IN_TREE), ("vmapcache", OURS)].map(|(side, colour)| {
            let mut both = file.records.iter().zip(&file.natives);
            let of = both.find(|(r, cell)| {
                r.allocator == side && cell.title == title && cell.locks_per_1000.is_some()
            });
            let locks = of.and_then(|(_, cell)| cell.locks_per_1000.clone());
            let points = locks.unwrap_or_default().into_iter();
            Series {
                colour,
                hollow: false,
                points: points.map(|(cpus, locks)| (cpus.into(), locks)).collect(),
            }
        });
        all.lines(
            &format!("Locks that CPUs share: {title}"),
            "across: CPUs; up: locks taken for 1,000 operations",
            series.into(),
        )?;
    }
    Ok(all.0)
}

fn live(file: &File) -> Result<Vec<Figure>, String> {
    let mut all = Figures(Vec::new());
    let mut boots: Vec<(usize, &str)> = Vec::new();
    for pair in &file.pairs {
        let boot = (pair.cpus, pair.unit.as_str());
        if !boots.contains(&boot) {
            boots.push(boot);
        }
    }
    for (cpus, unit) in boots {
        let of = match unit {
            "ns" => "time",
            other => other,
        };
        let plural = if cpus == 1 { "CPU" } else { "CPUs" };
        let pairs = || {
            let all = file.pairs.iter();
            all.filter(|pair| (pair.cpus, pair.unit.as_str()) == (cpus, unit))
        };
        all.ratios(&format!("Ratios of {of}, {cpus} {plural}"), pairs())?;
        all.rows_of(
            &format!("Latency of single operations, {cpus} {plural}"),
            "ns: the dot is the median; of 100 operations one takes longer than where the line ends; of fewer \
             operations none does",
            &SIDES,
            tails(pairs(), &[9_900, ALL]),
            false,
        )?;
    }
    // Curves of one boot are enough.
    let timed = || file.pairs.iter().filter(|pair| pair.unit == "ns");
    let most = timed().map(|pair| pair.cpus).max();
    let served = |pair: &&Pair| Some(pair.cpus) == most && pair.verdict != Verdict::NotServed;
    for pair in timed().filter(served) {
        distribution(
            &mut all,
            pair,
            "across: percent of the operations of a round; up: ns that none of them exceeded, the median of rounds",
        )?;
    }
    Ok(all.0)
}

pub fn of(file: &File) -> Result<Vec<Figure>, String> {
    match file.kind {
        Kind::Bench | Kind::Replay => bench(file),
        Kind::Native => native(file),
        Kind::Live => live(file),
    }
}
