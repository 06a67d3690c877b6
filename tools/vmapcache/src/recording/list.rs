// SPDX-License-Identifier: GPL-2.0

//! `recording`: shows what a recording has.

use super::{file, replay::program_for, Recording, What};
use crate::{
    machine::Machine,
    output::plain,
    sheet::{Cell, Row, Sheet},
    size, Output,
};
use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
};

#[derive(clap::Args)]
pub struct Options {
    /// What `vmapcache record` wrote
    file: PathBuf,
    /// Each request, instead of a summary
    #[arg(long)]
    requests: bool,
    /// The requests as the laboratory takes them in bench/program, for `scenario=replay`
    #[arg(long, conflicts_with_all = ["requests", "output", "filter"])]
    program: bool,
    /// With --program: CPUs of the machine that is to replay it (default: of this one)
    #[arg(long, value_name = "NUMBER", requires = "program", value_parser = clap::value_parser!(u16).range(1..=256))]
    cpus: Option<u16>,
    /// For people, or for other programs: then always each request
    #[arg(short = 'O', long, value_enum, default_value_t)]
    output: Output,
    /// Only requests for which this holds: COLUMN, one of = != < <= > >= ~ !~, VALUE (4K, 2M; ~: contains)
    #[arg(long, value_name = "CONDITION")]
    filter: Vec<String>,
}

fn sheet(recording: &Recording) -> Sheet {
    let mut sheet = Sheet::new([
        "time_ns", "cpu", "request", "number", "bytes", "align", "range", "caller", "lives_ns",
    ]);
    let bytes = |pages: u32| u64::from(pages) * recording.head.page_bytes;
    let mut ends = BTreeMap::new();
    for request in &recording.requests {
        if let What::Free(Some(of)) = request.what {
            ends.insert(of, request.time);
        }
    }
    let mut number = 0;
    for request in &recording.requests {
        let (name, rest) = match request.what {
            What::Alloc(alloc) => {
                let lives = ends
                    .get(&number)
                    .map(|end| end.saturating_sub(request.time));
                let range = recording.head.ranges.get(usize::from(alloc.range));
                let caller = recording.head.callers.get(alloc.caller as usize);
                number += 1;
                let rest = [
                    Cell::Number(u64::from(number - 1)),
                    Cell::Number(bytes(alloc.pages)),
                    Cell::Number(1 << alloc.align_shift),
                    Cell::number(range.copied()),
                    Cell::text(caller.filter(|c| !c.is_empty()).map(String::as_str)),
                    Cell::number(lives),
                ];
                ("alloc", rest)
            }
            What::Free(of) => {
                let mut rest = [(); 6].map(|()| Cell::Nothing);
                rest[0] = Cell::number(of.map(u64::from));
                ("free", rest)
            }
        };
        let first = [
            Cell::Number(request.time),
            Cell::Number(request.cpu.into()),
            Cell::text(Some(name)),
        ];
        let cells: Vec<Cell> = first.into_iter().chain(rest).collect();
        let raw = format!(
            "{:>15} cpu={} {name} {}",
            request.time,
            request.cpu,
            match request.what {
                What::Alloc(alloc) => format!(
                    "number={} bytes={} align={} caller={}",
                    number - 1,
                    bytes(alloc.pages),
                    1u64 << alloc.align_shift,
                    recording
                        .head
                        .callers
                        .get(alloc.caller as usize)
                        .filter(|c| !c.is_empty())
                        .map_or("?", String::as_str)
                ),
                What::Free(Some(of)) => format!("number={of}"),
                What::Free(None) => "of an older one".into(),
            }
        );
        sheet.rows.push(Row { cells, raw });
    }
    sheet
}

/// The largest numbers first, no more than ten.
fn top<K: Clone + Ord>(of: &BTreeMap<K, u64>) -> Vec<(K, u64)> {
    let mut all: Vec<_> = of.iter().map(|(k, n)| (k.clone(), *n)).collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all.truncate(10);
    all
}

fn summary(recording: &Recording, out: &mut dyn Write) -> io::Result<()> {
    let head = &recording.head;
    let (allocations, frees, older) = recording.counts();
    let seconds = head.ns as f64 / 1e9;
    let (mut sizes, mut callers) = (BTreeMap::new(), BTreeMap::new());
    let (mut pages, mut most, mut live) = (Vec::new(), 0u64, 0u64);
    for request in &recording.requests {
        match request.what {
            What::Alloc(alloc) => {
                *sizes.entry(alloc.pages).or_insert(0) += 1;
                *callers.entry(alloc.caller).or_insert(0) += 1;
                pages.push(u64::from(alloc.pages));
                live += u64::from(alloc.pages);
                most = most.max(live);
            }
            What::Free(Some(of)) => live -= pages.get(of as usize).copied().unwrap_or(0).min(live),
            What::Free(None) => {}
        }
    }
    writeln!(
        out,
        "{}, {} CPUs, {} MiB, Linux {}",
        plain(&head.machine),
        head.cpus,
        head.memory_mb,
        plain(&head.kernel)
    )?;
    if head.boot {
        let all = head.lost.iter().all(|lost| *lost == 0);
        let from = if all {
            "from the kernel's beginning"
        } else {
            "whose beginning is lost"
        };
        writeln!(out, "of a boot, {from}")?;
    }
    if !head.command.is_empty() {
        writeln!(out, "command: {}", plain(&head.command.join(" ")))?;
    }
    writeln!(
        out,
        "{allocations} allocations, {frees} frees ({older} of older ones) in {seconds:.1} s; {} failed",
        head.failed
    )?;
    writeln!(
        out,
        "{} events lost; {} purges of {} areas",
        head.lost.iter().sum::<u64>(),
        head.purges,
        head.purged
    )?;
    writeln!(
        out,
        "live at most: {}; at the end: {}",
        size::bytes(most * head.page_bytes),
        size::bytes(live * head.page_bytes)
    )?;
    writeln!(out, "\n{:>12}  bytes", "allocations")?;
    for (pages, number) in top(&sizes) {
        writeln!(
            out,
            "{number:>12}  {}",
            size::bytes(u64::from(pages) * head.page_bytes)
        )?;
    }
    writeln!(out, "\n{:>12}  caller", "allocations")?;
    for (caller, number) in top(&callers) {
        let name = head
            .callers
            .get(caller as usize)
            .filter(|name| !name.is_empty());
        writeln!(
            out,
            "{number:>12}  {}",
            plain(name.map_or("?", String::as_str))
        )?;
    }
    Ok(())
}

pub fn show(options: &Options) -> Result<bool, String> {
    if options.output == Output::Openmetrics {
        return Err("requests are no metrics: -O raw, csv or json".into());
    }
    let recording = file::load(&options.file)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let say = |e: io::Error| format!("output: {e}");
    let each = options.requests || !options.filter.is_empty();
    if options.program {
        let cpus = options
            .cpus
            .map_or_else(|| Machine::here().cpus, usize::from);
        let program = program_for(&recording, cpus)
            .map_err(|e| format!("{}: {e}", options.file.display()))?;
        out.write_all(program.text.as_bytes()).map_err(say)?;
    } else if options.output == Output::Raw && !each {
        summary(&recording, &mut out).map_err(say)?;
    } else {
        let mut sheet = sheet(&recording);
        sheet.filter(&options.filter)?;
        sheet.print(&mut out, options.output, false).map_err(say)?;
    }
    out.flush().map_err(say)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Alloc, Head, Request},
        *,
    };

    #[test]
    fn a_recording_cannot_write_to_the_terminal() {
        let odd = "\u{1b}]0;x\u{7}\r\n\u{9b}2J";
        let recording = Recording {
            head: Head {
                kernel: odd.into(),
                architecture: odd.into(),
                machine: odd.into(),
                command: vec![odd.into(), odd.into()],
                callers: vec![String::new(), odd.into()],
                page_bytes: 4096,
                ..Head::default()
            },
            requests: vec![Request {
                time: 0,
                cpu: 0,
                what: What::Alloc(Alloc {
                    pages: 2,
                    align_shift: 12,
                    range: 0,
                    caller: 1,
                }),
            }],
        };
        let (mut short, mut long) = (Vec::new(), Vec::new());
        summary(&recording, &mut short).unwrap();
        sheet(&recording)
            .print(&mut long, Output::Raw, false)
            .unwrap();
        for (text, times) in [(short, 5), (long, 1)] {
            let text = String::from_utf8(text).unwrap();
            assert!(
                !text.contains(|c: char| c.is_control() && c != '\n'),
                "{text:?}"
            );
            assert_eq!(
                text.matches("\\u{1b}]0;x\\u{7}\\r\\n\\u{9b}2J").count(),
                times,
                "{text}"
            );
        }
    }
}
