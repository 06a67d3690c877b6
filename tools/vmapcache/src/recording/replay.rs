// SPDX-License-Identifier: GPL-2.0

//! `replay`: the requests of a recording on both allocators, in one boot, by the laboratory; or in one process,
//! by the native program.

use super::{file, native, Recording, What};
use crate::{lab, machine::Machine, module, output, record::Record, signals, size, tables, Output};
use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::PathBuf,
};

#[derive(clap::Args)]
#[command(
    after_help = "Addresses alone are asked for: no memory, no mapping. Each CPU of the recording is a thread, bound to a \
CPU, which makes its requests in their order as fast as it can; a free waits for its allocation.\n\n\
With --ground native, neither a module nor root is needed: one ordinary program has the code of both allocators. Its \
threads are real-time ones if the user may have such.\n\n\
The status is 1 if an allocation failed, or if the two sides do not hold the same areas at each checkpoint."
)]
pub struct Options {
    /// What `vmapcache record` wrote
    file: PathBuf,
    /// Which allocators
    #[arg(long, value_enum, default_value_t)]
    on: On,
    /// Runs of each side; they take turns
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=64))]
    runs: u32,
    /// Where: this kernel, with both modules, or the native program
    #[arg(long, value_enum, default_value_t)]
    ground: Ground,
    /// The native program, which `scripts/native --build` makes
    #[arg(long, value_name = "PATH", default_value = "build/native/native")]
    native: PathBuf,
    /// A table, or all results as build/bench.json has them
    #[arg(short = 'O', long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    module: module::Options,
}

#[derive(Clone, Copy, Default, PartialEq, clap::ValueEnum)]
enum Ground {
    #[default]
    Kernel,
    Native,
}

#[derive(Clone, Copy, Default, PartialEq, clap::ValueEnum)]
enum On {
    #[default]
    Both,
    Vmapcache,
    Vmalloc,
}

impl On {
    fn sides(self) -> &'static str {
        match self {
            On::Both => "in-tree,vmapcache",
            On::Vmapcache => "vmapcache",
            On::Vmalloc => "in-tree",
        }
    }
}

/// The laboratory takes no more: see rust/bench/program.rs.
const MOST_REQUESTS: usize = 1 << 20;
const MOST_PAGES: u64 = 1 << 20;
const MOST_ALIGN: u64 = 65_536;
const CHECKPOINTS: usize = 8;

/// A recording as the laboratory takes it, and what had to go.
#[derive(Debug, Default, PartialEq)]
pub struct Program {
    pub text: String,
    pub requests: usize,
    pub cpus: u16,
    /// Areas and pages that live at each checkpoint.
    pub live: Vec<(u64, u64)>,
    /// Frees of areas from before the recording.
    pub older: u64,
    /// Allocations that are too large, and their frees.
    pub large: u64,
    /// Requests behind the last one that the laboratory takes.
    pub behind: u64,
}

/// Makes a program for so many CPUs, whose pages have this size.
fn program(recording: &Recording, cpus: u16, page_bytes: u64) -> Program {
    let mut program = Program::default();
    let mut lines = String::new();
    // For each allocation its number in the program, and its pages.
    let mut slots: Vec<Option<(u64, u64)>> = Vec::new();
    let (mut next, mut moves) = (0, Vec::new());
    for request in &recording.requests {
        if program.requests == MOST_REQUESTS {
            program.behind += 1;
            continue;
        }
        let cpu = request.cpu % cpus.max(1);
        match request.what {
            What::Alloc(alloc) => {
                // The guard page is the allocator's own.
                let net = u64::from(alloc.pages).saturating_sub(1).max(1);
                let bytes = net.saturating_mul(recording.head.page_bytes);
                let pages = bytes.div_ceil(page_bytes);
                let align = (1u64 << alloc.align_shift) / page_bytes;
                let align = align.max(1);
                if pages > MOST_PAGES || align > MOST_ALIGN {
                    program.large += 1;
                    slots.push(None);
                    continue;
                }
                slots.push(Some((next, pages)));
                next += 1;
                let _ = writeln!(lines, "{cpu} a {pages} {align}");
                moves.push((true, pages));
            }
            What::Free(None) => {
                program.older += 1;
                continue;
            }
            What::Free(Some(of)) => {
                let Some(Some((number, pages))) = slots.get(of as usize) else {
                    program.large += 1;
                    continue;
                };
                let _ = writeln!(lines, "{cpu} f {number}");
                moves.push((false, *pages));
            }
        }
        program.requests += 1;
        program.cpus = program.cpus.max(cpu + 1);
    }
    program.text = format!("requests {}\n{lines}", program.requests);
    program.live = (1..=CHECKPOINTS)
        .map(|n| {
            let done = &moves[..moves.len() * n / CHECKPOINTS];
            done.iter().fold((0, 0), |(areas, all), (alloc, pages)| {
                if *alloc {
                    (areas + 1, all + pages)
                } else {
                    (areas - 1, all - pages)
                }
            })
        })
        .collect();
    program
}

/// As bench/result has them.
fn live_sets(live: &[(u64, u64)]) -> String {
    let texts: Vec<String> = live
        .iter()
        .map(|(areas, pages)| format!("{areas}:{pages}"))
        .collect();
    texts.join(",")
}

/// Hands the program to the laboratory.
fn load(program: &Program) -> Result<(), String> {
    let path = lab::folder().join("program");
    let say = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut file = File::options()
        .write(true)
        .open(&path)
        .map_err(|e| match e.kind() {
            ErrorKind::NotFound => {
                "the vmapcache_bench.ko that is loaded is another version, which cannot replay"
                    .into()
            }
            _ => say(e),
        })?;
    // One write: the laboratory takes whole programs.
    match file.write(program.text.as_bytes()) {
        Ok(written) if written == program.text.len() => Ok(()),
        Ok(written) => Err(format!("{}: took {written} bytes only", path.display())),
        Err(e) => {
            let why = fs::read_to_string(lab::folder().join("error")).unwrap_or_default();
            Err(match (e.kind(), why.trim_end()) {
                (ErrorKind::InvalidInput, why) if !why.is_empty() => why.into(),
                _ => say(e),
            })
        }
    }
}

/// What is wrong with a side's result; nothing, if it is right.
fn wrong(record: &Record, program: &Program) -> Option<String> {
    let name = &record.allocator;
    if record.failures > 0 {
        return Some(format!("{name}: {} allocations failed", record.failures));
    }
    let wanted = live_sets(&program.live);
    match (record.live_sets.as_deref(), record.check.as_deref()) {
        (Some(seen), Some("ok")) if seen == wanted => None,
        (Some(seen), _) if seen != wanted => Some(format!(
            "{name} holds other areas than the recording: areas:pages at the checkpoints are {seen} instead of {wanted}"
        )),
        (_, Some(check)) => Some(format!("{name}: the check of its areas says: {check}")),
        _ => Some(format!("{name}: its areas were not checked")),
    }
}

fn plural(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The program of a recording for a machine with so many CPUs.
pub fn program_for(recording: &Recording, cpus: usize) -> Result<Program, String> {
    let cpus = u16::try_from(cpus).unwrap_or(u16::MAX).min(256);
    let program = program(recording, cpus, crate::machine::page_bytes());
    match program.requests {
        0 => Err("the recording has no request that can be replayed".into()),
        _ => Ok(program),
    }
}

/// Makes the requests of a program on these sides, by the laboratory.
fn in_kernel(
    program: &Program,
    sides: &str,
    runs: u32,
    machine: &Machine,
) -> Result<Vec<Record>, String> {
    load(program)?;
    let switches = lab::switches()?;
    let line = format!("scenario=replay sides={sides} runs={runs} hold=0");
    let result = lab::run(&line).map_err(|e| match signals::check() {
        Err(interrupted) => interrupted,
        Ok(()) => e.to_string(),
    })?;
    result
        .lines()
        .map(|text| Record::parse(text, &switches, machine))
        .collect()
}

/// What is wrong with the results.
fn trouble(records: &[Record], program: &Program) -> Vec<String> {
    records.iter().filter_map(|r| wrong(r, program)).collect()
}

/// Recorded by `scripts/live --record`.
const SHIPPED: [(&str, &[u8]); 3] = [
    ("boot", include_bytes!("../../recorded/boot.rec")),
    ("f2fs", include_bytes!("../../recorded/f2fs.rec")),
    (
        "tasks-and-modules",
        include_bytes!("../../recorded/tasks-and-modules.rec"),
    ),
];

/// Replays the recordings that ship, on both sides. Returns the results, and what is wrong with them.
pub fn shipped(machine: &Machine) -> Result<(Vec<Record>, Vec<String>), String> {
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    for (name, bytes) in SHIPPED {
        let say = |e: String| format!("recording {name}: {e}");
        let recording = file::read(bytes).map_err(say)?;
        let program = program_for(&recording, machine.cpus).map_err(say)?;
        let records = in_kernel(&program, On::Both.sides(), 5, machine).map_err(say)?;
        faults.extend(trouble(&records, &program).into_iter().map(say));
        all.extend(records.into_iter().map(|record| Record {
            recording: Some(name.into()),
            ..record
        }));
    }
    Ok((all, faults))
}

pub fn replay(options: &Options) -> Result<bool, String> {
    if !matches!(options.output, Output::Raw | Output::Json) {
        return Err("-O raw or json".into());
    }
    let recording = file::load(&options.file)?;
    let machine = Machine::here();
    let sides = options.on.sides();
    let of_file = |e: String| format!("{}: {e}", options.file.display());
    let program = program_for(&recording, machine.cpus).map_err(of_file)?;
    let mut real_time = true;
    let records = match options.ground {
        Ground::Kernel => {
            let module = module::Loaded::take(&options.module)?;
            let records = in_kernel(&program, sides, options.runs, &machine);
            drop(module);
            signals::check()?;
            records.map_err(of_file)?
        }
        Ground::Native => {
            let said = native::measure(&options.native, &program, sides, options.runs, &machine)?;
            real_time = said.real_time;
            said.records
        }
    };
    let trouble = trouble(&records, &program);
    if options.output == Output::Json {
        let text = serde_json::to_string_pretty(&records).map_err(|e| e.to_string())?;
        println!("{text}");
    } else {
        println!("{machine}");
        if options.ground == Ground::Native {
            println!("ground: native, real cores without a kernel (Documentation/native.rst)");
        }
        if !real_time {
            println!(
                "this user may not run real-time threads: other work preempts the holders of locks, which a \
                 kernel does not do; trust the least only"
            );
        }
        print(&recording, &program, &records, trouble.is_empty());
    }
    for line in &trouble {
        eprintln!("vmapcache: {line}");
    }
    Ok(trouble.is_empty())
}

fn print(recording: &Recording, program: &Program, records: &[Record], same: bool) {
    let head = &recording.head;
    println!(
        "{} of {} in {:.1} s on Linux {}, {}, by {}",
        plural(program.requests as u64, "request"),
        head.requests,
        head.ns as f64 / 1e9,
        output::plain(&head.kernel),
        plural(head.cpus.into(), "CPU"),
        plural(program.cpus.into(), "thread"),
    );
    for (number, what) in [
        (program.older, "frees of what is older than the recording"),
        (program.large, "requests for more than the laboratory takes"),
        (
            program.behind,
            "requests behind the last one that the laboratory takes",
        ),
        (
            head.lost.iter().sum(),
            "events were lost when it was recorded",
        ),
    ] {
        if number > 0 {
            println!("not replayed: {number} {what}");
        }
    }
    print!("{}", tables::replayed(records).text());
    let (areas, pages) = program.live.last().copied().unwrap_or_default();
    if same {
        println!(
            "\nthe live areas were those of the recording at all {CHECKPOINTS} checkpoints, the last time {} of {}",
            plural(areas, "area"),
            size::bytes(pages * crate::machine::page_bytes())
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Alloc, Head, Request},
        *,
    };
    use crate::record::Switches;

    fn recording(whats: &[(u16, What)]) -> Recording {
        let requests = whats.iter().enumerate().map(|(n, (cpu, what))| Request {
            time: n as u64,
            cpu: *cpu,
            what: *what,
        });
        Recording {
            head: Head {
                page_bytes: 4096,
                ..Head::default()
            },
            requests: requests.collect(),
        }
    }

    fn alloc(pages: u32, align_shift: u8) -> What {
        What::Alloc(Alloc {
            pages,
            align_shift,
            range: 0,
            caller: 0,
        })
    }

    #[test]
    fn a_program_has_what_can_be_replayed() {
        let recording = recording(&[
            (0, What::Free(None)),
            (0, alloc(5, 14)),
            (3, alloc(1, 0)),
            (1, alloc(1 << 31, 12)),
            (1, What::Free(Some(2))),
            (2, alloc(2, 63)),
            (2, What::Free(Some(0))),
            (0, alloc(3, 12)),
        ]);
        let program = program(&recording, 2, 4096);
        assert_eq!(
            program.text,
            "requests 4\n0 a 4 4\n1 a 1 1\n0 f 0\n0 a 2 1\n"
        );
        assert_eq!((program.older, program.large, program.behind), (1, 3, 0));
        assert_eq!((program.requests, program.cpus), (4, 2));
        assert_eq!(live_sets(&program.live), "0:0,1:4,1:4,2:5,2:5,1:1,1:1,2:3");
    }

    #[test]
    fn pages_may_have_another_size() {
        let recording = recording(&[(0, alloc(6, 14)), (0, alloc(2, 12))]);
        let program = program(&recording, 1, 16_384);
        assert_eq!(program.text, "requests 2\n0 a 2 1\n0 a 1 1\n");
    }

    #[test]
    fn a_program_is_bounded() {
        let all = vec![(0, alloc(2, 12)); MOST_REQUESTS + 3];
        let program = program(&recording(&all), 1, 4096);
        assert_eq!((program.requests, program.behind), (MOST_REQUESTS, 3));
        assert!(program.text.len() < 32 << 20);
        assert_eq!(program.text.lines().count(), MOST_REQUESTS + 1);
    }

    #[test]
    fn the_recordings_that_ship_are_whole_and_small() {
        for (name, bytes) in SHIPPED {
            let recording = file::read(bytes).unwrap();
            assert!(bytes.len() < 100 << 10, "{name}: {} bytes", bytes.len());
            assert!(recording.head.lost.iter().all(|lost| *lost == 0), "{name}");
            let program = program(&recording, 2, 4096);
            assert!(program.requests > 300, "{name}: {}", program.requests);
            assert_eq!((program.large, program.behind), (0, 0), "{name}");
            assert_eq!(program.cpus, 2, "{name}");
            assert_eq!(recording.head.boot, name == "boot");
        }
    }

    #[test]
    fn a_side_that_holds_other_areas_is_named() {
        let program = program(&recording(&[(0, alloc(5, 14))]), 1, 4096);
        let sets = "0:0,0:0,0:0,0:0,0:0,0:0,0:0,1:4";
        let line = |failures, check, sets| {
            let text = format!(
                "scenario=replay allocator=in-tree pages=1 align=1 threads=1 writers=0 live=0 runs_ns=1.00 \
                 median_ns=1.00 run_min_ns=1.00 run_max_ns=1.00 cpu_ns=1.00 ops=1 failures={failures} \
                 check={check} live_sets={sets}"
            );
            Record::parse(&text, &Switches::new(), &Machine::default()).unwrap()
        };
        assert_eq!(wrong(&line(0, "ok", sets), &program), None);
        let other = wrong(
            &line(0, "live", "0:0,0:0,0:0,0:0,0:0,0:0,0:0,1:5"),
            &program,
        )
        .unwrap();
        assert!(other.contains("1:5 instead of 0:0"), "{other}");
        let overlap = wrong(&line(0, "overlap", sets), &program).unwrap();
        assert_eq!(overlap, "in-tree: the check of its areas says: overlap");
        let failed = wrong(&line(2, "ok", sets), &program).unwrap();
        assert_eq!(failed, "in-tree: 2 allocations failed");
    }
}
