// SPDX-License-Identifier: GPL-2.0

//! The line of a result.

use crate::{
    line::parse,
    program::{Live, CHECKPOINTS},
    report::{write, FlushReport, Latency, Report},
    statistics::{summary, Picos},
};

fn shown(line: &str, latency: Option<Latency>, flushes: Option<FlushReport>) -> String {
    shown_with(line, latency, flushes, None)
}

fn shown_with(
    line: &str,
    latency: Option<Latency>,
    flushes: Option<FlushReport>,
    live: Option<[Live; CHECKPOINTS]>,
) -> String {
    let spec = parse(line.as_bytes()).expect(line);
    let runs = [Picos(1_500_000), Picos(1_250_000), Picos(2_000_000)];
    let report = Report {
        allocator: "vmapcache",
        summary: summary(&mut runs.clone()),
        runs: &runs,
        cpu: Picos(1_400_000),
        ops: 300,
        failures: 30,
        writer_ops: 5,
        writer_cpu: Picos(70_000),
        latency,
        flushes,
        instructions: Some(Picos(316_250)),
        held: None,
        check: Some("ok"),
        live,
    };
    let mut text = String::new();
    write(&mut text, &spec, &report).expect("a string takes all");
    text
}

#[test]
fn one_line_of_words() {
    assert_eq!(
        shown("scenario=va_only pages=1-8 align=2", None, None),
        "scenario=va_only allocator=vmapcache pages=1-8 align=2 threads=1 writers=0 live=0 \
         runs_ns=1500.00,1250.00,2000.00 median_ns=1500.00 run_min_ns=1250.00 \
         run_max_ns=2000.00 cpu_ns=1400.00 ops=300 failures=30 instructions=316.25 check=ok\n"
    );
}

#[test]
fn a_replay_has_its_live_sets() {
    let mut live = [Live::default(); CHECKPOINTS];
    live[6] = Live {
        areas: 3,
        pages: 70,
    };
    let text = shown_with("scenario=replay", None, None, Some(live));
    assert!(
        text.ends_with(" check=ok live_sets=0:0,0:0,0:0,0:0,0:0,0:0,3:70,0:0\n"),
        "{text}"
    );
}

#[test]
fn what_was_measured_beside() {
    let latency = Latency {
        p50: 1,
        p99: 2,
        p999: 3,
        quantiles: [1, 1, 1, 1, 2, 2, 2, 3, 4],
        max: 4,
        samples: 9,
        clock: 30,
    };
    let flushes = FlushReport {
        flushes: 6,
        ops: 100,
        source: "kprobe",
        probe: 0,
        inside: None,
    };
    let text = shown(
        "scenario=lookup_start writers=1",
        Some(latency),
        Some(flushes),
    );
    for words in [
        " writer_ops=5 writer_cpu_ns=70.00 ",
        " p50_ns=1 p99_ns=2 p999_ns=3 max_ns=4 samples=9 clock_ns=30 quantiles_ns=100:1,1000:1,2500:1,5000:1,7500:2,9000:2,9900:2,9990:3,9999:4 ",
        " flushes=6 flush_ops=100 flush_source=kprobe flush_probe=0 ",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
}
