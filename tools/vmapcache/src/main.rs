// SPDX-License-Identifier: GPL-2.0

//! `vmapcache`: drives the laboratory, and shows the module's counters.

// First: all others have its macros.
#[macro_use]
mod output;

#[cfg(feature = "bundle")]
mod bundle;
mod doctor;
mod events;
#[cfg(feature = "export")]
mod export;
mod instance;
mod instructions;
mod lab;
mod machine;
#[cfg(feature = "manual")]
mod manual;
mod map;
mod matrix;
mod metrics;
mod module;
mod parse;
mod progress;
mod record;
#[cfg(feature = "record")]
mod recording;
#[cfg(feature = "report")]
mod report;
mod sheet;
mod signals;
mod size;
mod table;
mod tables;
#[cfg(feature = "top")]
mod top;
mod trace;
mod tree;
mod view;
mod wait;

use clap::{Parser, Subcommand, ValueEnum};
use matrix::Extent;
use std::{path::PathBuf, process::ExitCode};
use view::Source;

/// The version of the module, and of everything here.
const VERSION: &str = include_str!("../../../VERSION");

/// `--help` and the manual page end with these.
const EXAMPLES: &str = "Examples:
  vmapcache doctor                      what stands in the way on this machine
  vmapcache demo                        both allocators, in one table
  vmapcache callers --sort areas        who holds most areas
  vmapcache areas --filter 'bytes>1M'   the large areas
  vmapcache info -O json                for other programs
  vmapcache events fail                 each allocation that fails, as it happens
  vmapcache record -- make -j4          what the kernel asks of the in-tree allocator meanwhile
  vmapcache record --boot -o boot.rec   what the kernel has asked since its beginning
  vmapcache replay vmapcache.rec        the same requests on both allocators
  vmapcache map --by size -o map.svg    the arena as a picture
  vmapcache native --quick              both on real cores, in a checkout of vmapcache
  vmapcache report                      a page of what was measured
  vmapcache bundle                      an archive to send with a report of a fault";

#[derive(Parser)]
#[command(
    version = VERSION.trim_ascii_end(),
    about = "Drives the laboratory of vmapcache.ko, and shows what the module counts",
    after_help = EXAMPLES
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compares vmapcache with the in-tree allocator, a table for each question
    Bench {
        /// Answers the same questions in at most 3 minutes under emulation
        #[arg(long)]
        quick: bool,
        /// Counts instructions, if the clock does that (scripts/vm --instructions), and adds
        /// them to the data of an earlier run, if there is one
        #[arg(long, conflicts_with = "quick")]
        instructions: bool,
        /// Where the data goes
        #[arg(long, default_value = "build/bench.json")]
        out: PathBuf,
        #[command(flatten)]
        module: module::Options,
    },
    /// The comparison in one table: half a minute
    Demo {
        #[command(flatten)]
        module: module::Options,
    },
    /// Measures one line, and shows all of its results
    Run {
        /// key=value words, as bench/run takes them
        #[arg(required = true)]
        words: Vec<String>,
        #[command(flatten)]
        module: module::Options,
    },
    /// Shows the tables of an earlier run again
    Tables {
        /// The data that `bench` wrote
        #[arg(default_value = "build/bench.json")]
        file: PathBuf,
    },
    /// Compares them on this machine's real cores, in one ordinary program (in a checkout: scripts/native)
    #[command(after_help = "Examples:
  vmapcache native
  vmapcache native --quick --cpus 2")]
    Native(tree::Words),
    /// Compares them on unmodified workloads, in the VM (in a checkout: scripts/live)
    #[command(after_help = "Examples:
  vmapcache live
  vmapcache live --quick bpf-arrays forks")]
    Live(tree::Words),
    /// Makes one page of all that was measured: build/report.html
    #[cfg(feature = "report")]
    #[command(after_help = "Examples:
  vmapcache report
  vmapcache report replay.json -o report.html
  vmapcache report --compare old-bench.json")]
    Report(report::Options),
    /// Shows the module's counters
    #[command(after_help = "Examples:
  vmapcache stats --filter key~purge
  vmapcache stats -O openmetrics")]
    Stats(view::Options),
    /// Shows totals, fragmentation and the top callers
    #[command(after_help = "Examples:
  vmapcache info -O json
  vmapcache info --from saved-info")]
    Info(view::Options),
    /// Shows bytes and areas for each calling function
    #[command(after_help = "Examples:
  vmapcache callers --sort areas
  vmapcache callers --filter 'bytes>=1M' --filter module=f2fs -O csv")]
    Callers(view::Options),
    /// Shows each area, in the order of addresses
    #[command(after_help = "Examples:
  vmapcache areas --filter 'bytes>1M' --sort bytes
  vmapcache areas --filter state=lazy -O json")]
    Areas(view::Options),
    /// Follows the tracepoints: allocations, frees, failures, purges, flushes
    #[command(after_help = "Examples:
  vmapcache events fail -O json
  vmapcache events alloc free --filter 'size>=64K' --seconds 10")]
    Events(events::Options),
    /// Records what the kernel's own callers ask of the in-tree allocator
    #[cfg(feature = "record")]
    Record(recording::capture::Options),
    /// Makes a recording's requests again, on both allocators
    #[cfg(feature = "record")]
    Replay(recording::replay::Options),
    /// Shows what a recording has
    #[cfg(feature = "record")]
    #[command(after_help = "Examples:
  vmapcache recording vmapcache.rec
  vmapcache recording vmapcache.rec -O csv --filter caller~f2fs")]
    Recording(recording::list::Options),
    /// Serves the numbers to Prometheus, or writes them for node_exporter
    #[cfg(feature = "export")]
    #[command(after_help = "Examples:
  vmapcache export --listen 0.0.0.0:9757
  vmapcache export --textfile /var/lib/prometheus/node-exporter
  vmapcache export --dashboard")]
    Export(export::Options),
    /// Follows the allocator on a screen: totals, rates, and who holds what
    #[cfg(feature = "top")]
    #[command(after_help = "Examples:
  vmapcache top --sort alloc/s
  vmapcache top --batch -n 60 --filter f2fs")]
    Top(top::Options),
    /// Draws the arena: what is where
    #[command(after_help = "Examples:
  vmapcache map --by caller
  vmapcache map --by size -o map.svg
  vmapcache map --whole")]
    Map(map::Options),
    /// Writes the manual pages into a folder
    #[cfg(feature = "manual")]
    Man(manual::Folder),
    /// Prints completions for a shell
    #[cfg(feature = "manual")]
    Completions(manual::Completions),
    /// Says what stands in the way on this machine, and what to do; then the status is 1
    #[command(after_help = "Examples:
  vmapcache doctor
  vmapcache doctor load")]
    Doctor(doctor::Options),
    /// Puts what a report of a fault needs into one archive, without addresses
    #[cfg(feature = "bundle")]
    #[command(after_help = "Examples:
  vmapcache bundle
  vmapcache bundle -o fault.tar.gz --whole-log")]
    Bundle(bundle::Options),
}

#[derive(Clone, Copy, Default, PartialEq, ValueEnum)]
enum Output {
    /// As the module prints it
    #[default]
    Raw,
    Csv,
    Json,
    /// For Prometheus and others
    Openmetrics,
}

fn bench(
    extent: Extent,
    out: Option<PathBuf>,
    mut options: module::Options,
) -> Result<bool, String> {
    if extent == Extent::Whole {
        // A million areas of a page each, with their guard pages, and room to search.
        options.arena_mb.get_or_insert(16_384);
    }
    let module = module::Loaded::take(&options)?;
    let machine = machine::Machine::here();
    println!("{machine}");
    let (records, trouble) = lab::measure(&matrix::lines(extent, &lab::switches()?), &machine)?;
    #[cfg(feature = "record")]
    let (records, trouble) = {
        let (mut records, mut trouble) = (records, trouble);
        if extent != Extent::Demo && signals::check().is_ok() {
            match recording::replay::shipped(&machine) {
                Ok((replayed, wrong)) => {
                    records.push(replayed);
                    trouble.extend(wrong);
                }
                Err(e) => trouble.push(e),
            }
        }
        (records, trouble)
    };
    // Before the first output: its reader may go at any time.
    drop(module);
    signals::check()?;
    let records: Vec<_> = records.into_iter().flatten().collect();
    if let Some(out) = out {
        record::save(&out, &records)?;
        eprintln!("data in {}", out.display());
    }
    tables::print(extent, &records);
    for line in &trouble {
        println!("{line}");
    }
    Ok(trouble.is_empty())
}

fn run(command: Command) -> Result<bool, String> {
    match command {
        Command::Bench {
            instructions: true,
            out,
            module,
            ..
        } => instructions::count(&out, &module),
        Command::Bench {
            quick, out, module, ..
        } => {
            let extent = if quick { Extent::Quick } else { Extent::Whole };
            bench(extent, Some(out), module)
        }
        Command::Demo { module } => bench(Extent::Demo, None, module),
        Command::Run { words, module } => {
            let module = module::Loaded::take(&module)?;
            let result = lab::run(&words.join(" "));
            drop(module);
            signals::check()?;
            let result = result.map_err(|e| e.to_string())?;
            print!("{}", result.replace(' ', "\n  "));
            Ok(true)
        }
        Command::Tables { file } => {
            tables::print(Extent::Whole, &record::load(&file)?);
            Ok(true)
        }
        Command::Native(words) => tree::run("native", &words),
        Command::Live(words) => tree::run("live", &words),
        #[cfg(feature = "report")]
        Command::Report(options) => report::show(&options),
        Command::Stats(options) => view::show(Source::Stats, &options),
        Command::Info(options) => view::show(Source::Info, &options),
        Command::Callers(options) => view::show(Source::Callers, &options),
        Command::Areas(options) => view::show(Source::Areas, &options),
        Command::Events(options) => events::show(&options),
        #[cfg(feature = "record")]
        Command::Record(options) => recording::capture::record(&options),
        #[cfg(feature = "record")]
        Command::Replay(options) => recording::replay::replay(&options),
        #[cfg(feature = "record")]
        Command::Recording(options) => recording::list::show(&options),
        #[cfg(feature = "export")]
        Command::Export(options) => export::show(&options),
        #[cfg(feature = "top")]
        Command::Top(options) => top::show(&options),
        Command::Map(options) => map::show(&options),
        #[cfg(feature = "manual")]
        Command::Man(options) => manual::pages(&options),
        #[cfg(feature = "manual")]
        Command::Completions(options) => manual::completions(&options),
        Command::Doctor(options) => doctor::report(&options),
        #[cfg(feature = "bundle")]
        Command::Bundle(options) => bundle::make(&options),
    }
}

fn main() -> ExitCode {
    signals::usual();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Also what --help and --version print.
        Err(text) => {
            let printed = text.print().map_err(|e| format!("output: {e}"));
            return match printed.and_then(|()| output::check()) {
                Ok(()) => ExitCode::from(u8::try_from(text.exit_code()).unwrap_or(2)),
                Err(e) => {
                    eprintln!("vmapcache: {e}");
                    ExitCode::from(2)
                }
            };
        }
    };
    let result = run(arguments.command);
    match result.and_then(|good| output::check().map(|()| good)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("vmapcache: {}", output::plain(&e));
            // The status that a shell gives to an end by a signal.
            ExitCode::from(signals::caught().map_or(2, |number| 128 + number))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Words as a shell makes them, for what examples have.
    fn words(line: &str) -> Vec<String> {
        let parts = line.split('\'').enumerate();
        let words = parts.flat_map(|(n, part)| match n % 2 {
            0 => part.split_whitespace().map(String::from).collect(),
            _ => vec![part.to_string()],
        });
        words.collect()
    }

    #[test]
    fn help_has_examples_that_are_commands() {
        let all = Arguments::command();
        let mut helps = vec![EXAMPLES.to_string()];
        for command in all.get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string);
            match command.get_name() {
                "run" | "tables" | "demo" | "bench" | "man" | "completions" | "record"
                | "replay" => {}
                name => assert!(
                    help.as_ref()
                        .is_some_and(|help| help.contains(&format!("  vmapcache {name}"))),
                    "{name}: {help:?}"
                ),
            }
            helps.extend(help);
        }
        let mut seen = 0;
        for line in helps.iter().flat_map(|help| help.lines()) {
            let Some(line) = line.strip_prefix("  vmapcache ") else {
                continue;
            };
            // Two blanks end the command; its description follows.
            let line = line.split("  ").next().unwrap_or_default();
            let line = words(&format!("vmapcache {line}"));
            seen += 1;
            if let Err(e) = Arguments::try_parse_from(&line) {
                panic!("{line:?}: {e}");
            }
        }
        // Those of the program without options that need more crates.
        assert!(seen >= 20, "{seen}");
    }
}
