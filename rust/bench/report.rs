// SPDX-License-Identifier: GPL-2.0

//! The result of a measurement: one line of `key=value` words for each side.
//!
//! Plain safe Rust without a kernel type.

use super::{
    line::{Span, Spec},
    program::{Live, CHECKPOINTS},
    statistics::{Picos, Summary},
};
use core::fmt::{self, Write};

/// Places of quantiles: N stands for the time that N of 10,000 operations did not exceed.
pub(crate) const SHARES: [u32; 9] = [100, 1_000, 2_500, 5_000, 7_500, 9_000, 9_900, 9_990, 9_999];

/// Latencies of single operations in ns, without the cost of the clock.
#[derive(Clone, Copy, Default)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    /// Those at `SHARES`.
    pub(crate) quantiles: [u64; SHARES.len()],
    pub(crate) max: u64,
    pub(crate) samples: u64,
    /// The cost of the clock, which was subtracted.
    pub(crate) clock: u64,
}

/// TLB flushes of a pass.
#[derive(Clone, Copy, Default)]
pub(crate) struct FlushReport {
    pub(crate) flushes: u64,
    /// Operations of the pass.
    pub(crate) ops: u64,
    /// The counter.
    pub(crate) source: &'static str,
    /// The other counter, if there are two.
    pub(crate) probe: u64,
    /// Of the same pass.
    pub(crate) inside: Option<Inside>,
}

/// vmapcache's own counters.
#[derive(Clone, Copy, Default)]
pub(crate) struct Inside {
    /// Locks taken that other CPUs take as well.
    pub(crate) shared_locks: u64,
    /// Searches for free space, and the extents that they looked at.
    pub(crate) searches: u64,
    pub(crate) visited: u64,
}

impl Inside {
    /// The growth since `before`.
    pub(crate) fn since(self, before: Inside) -> Inside {
        Inside {
            shared_locks: self.shared_locks.saturating_sub(before.shared_locks),
            searches: self.searches.saturating_sub(before.searches),
            visited: self.visited.saturating_sub(before.visited),
        }
    }
}

/// All about one side.
pub(crate) struct Report<'a> {
    pub(crate) allocator: &'static str,
    pub(crate) runs: &'a [Picos],
    pub(crate) summary: Summary,
    /// CPU time of an operation, median of the runs.
    pub(crate) cpu: Picos,
    /// Operations of all timed runs, and those that failed.
    pub(crate) ops: u64,
    pub(crate) failures: u64,
    pub(crate) writer_ops: u64,
    pub(crate) writer_cpu: Picos,
    pub(crate) latency: Option<Latency>,
    pub(crate) flushes: Option<FlushReport>,
    /// Instructions of an operation, if the processor counts them. The unit is a thousandth.
    pub(crate) instructions: Option<Picos>,
    /// The longest time that a real-time thread had to wait, in ns.
    pub(crate) held: Option<u64>,
    pub(crate) check: Option<&'static str>,
    /// The areas that lived at each checkpoint of a program.
    pub(crate) live: Option<[Live; CHECKPOINTS]>,
}

fn span(f: &mut dyn Write, key: &str, span: Span) -> fmt::Result {
    if span.is_one() {
        write!(f, " {key}={}", span.max)
    } else {
        write!(f, " {key}={}-{}", span.min, span.max)
    }
}

/// Writes the line of one side.
///
/// # Errors
///
/// Those of `f`.
pub(crate) fn write(f: &mut dyn Write, spec: &Spec, r: &Report<'_>) -> fmt::Result {
    write!(
        f,
        "scenario={} allocator={}",
        spec.scenario.name(),
        r.allocator
    )?;
    span(f, "pages", spec.pages)?;
    span(f, "align", spec.align)?;
    write!(
        f,
        " threads={} writers={} live={}",
        spec.threads, spec.writers, spec.live
    )?;
    if spec.lazy != 0 {
        write!(f, " lazy={}", spec.lazy)?;
    }
    f.write_str(" runs_ns=")?;
    for (i, run) in r.runs.iter().enumerate() {
        write!(f, "{}{run}", if i == 0 { "" } else { "," })?;
    }
    let Summary { median, min, max } = r.summary;
    write!(
        f,
        " median_ns={median} run_min_ns={min} run_max_ns={max} cpu_ns={}",
        r.cpu
    )?;
    write!(f, " ops={} failures={}", r.ops, r.failures)?;
    if spec.writers != 0 {
        write!(
            f,
            " writer_ops={} writer_cpu_ns={}",
            r.writer_ops, r.writer_cpu
        )?;
    }
    if let Some(l) = r.latency {
        write!(
            f,
            " p50_ns={} p99_ns={} p999_ns={} max_ns={} samples={} clock_ns={}",
            l.p50, l.p99, l.p999, l.max, l.samples, l.clock
        )?;
        f.write_str(" quantiles_ns=")?;
        for (i, (share, ns)) in SHARES.iter().zip(l.quantiles).enumerate() {
            write!(f, "{}{share}:{ns}", if i == 0 { "" } else { "," })?;
        }
    }
    if let Some(flush) = r.flushes {
        write!(
            f,
            " flushes={} flush_ops={} flush_source={} flush_probe={}",
            flush.flushes, flush.ops, flush.source, flush.probe
        )?;
        if let Some(inside) = flush.inside {
            write!(
                f,
                " shared_locks={} searches={} visited={}",
                inside.shared_locks, inside.searches, inside.visited
            )?;
        }
    }
    if let Some(instructions) = r.instructions {
        write!(f, " instructions={instructions}")?;
    }
    if let Some(held) = r.held {
        write!(f, " held_max_ns={held}")?;
    }
    if let Some(check) = r.check {
        write!(f, " check={check}")?;
    }
    if let Some(live) = r.live {
        f.write_str(" live_sets=")?;
        for (i, Live { areas, pages }) in live.iter().enumerate() {
            write!(f, "{}{areas}:{pages}", if i == 0 { "" } else { "," })?;
        }
    }
    f.write_char('\n')
}
