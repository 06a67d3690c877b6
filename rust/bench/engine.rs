// SPDX-License-Identifier: GPL-2.0

//! The course of a measurement: make all sides ready, warm up, run A B A B ..., then run the passes
//! that are not timed.

use super::{
    catalog::{scenario_table, Scenario as Name, SideName},
    check::Verdict,
    ground::{self, FlushCount, Ground, Instructions},
    histogram::{Histogram, BUCKETS},
    line::{Complaint, Spec, Why},
    measure,
    program::{Live, CHECKPOINTS},
    report::{self, FlushReport, Latency, Report, SHARES},
    scenario::{
        self,
        bare::{BareMap, BarePage},
        map::Vmap,
        replay::{Program, Replay},
        test_vmalloc as test,
    },
    side::{
        allocator::{self, InTree, Vmapcache},
        bare::Bare,
        fake::Fake,
        map_ram::MapRam,
        Side,
    },
    statistics::{summary, Picos},
    trial::{Bound, Pass, Sums, Trial},
    Progress, Text,
};
use kernel::{
    alloc::AllocError,
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
    time::{delay::fsleep, Delta},
};

/// Why there is no result.
pub(super) enum Failed {
    /// The measurement is not possible.
    Complaint(Complaint<'static>),
    Errno(Error),
}

impl From<Error> for Failed {
    fn from(e: Error) -> Self {
        Failed::Errno(e)
    }
}

impl From<AllocError> for Failed {
    fn from(_: AllocError) -> Self {
        Failed::Errno(ENOMEM)
    }
}

/// Makes a trial of any scenario but the bare ones.
fn on<S: Side + 'static>(spec: &Spec, side: S) -> Result<KBox<dyn Trial>> {
    macro_rules! bind {
        (
            on_any_side { $($scenario:ident: $type:ty = $key:ident { $($differs:tt)* },)* }
            programs { $($program:ident: $replay:ty = $program_key:ident { $($program_differs:tt)* },)* }
            limits { $($limit:ident: $bare:ty = $bare_key:ident { $($bare_differs:tt)* },)* }
        ) => {
            match spec.scenario {
                $(Name::$scenario => Bound::<S, $type>::ready(spec, side),)*
                // These need a program.
                $(Name::$program => Err(EINVAL),)*
                // The catalog gives these to the bare side only.
                $(Name::$limit => Err(EINVAL),)*
            }
        };
    }
    scenario_table!(bind)
}

/// Makes a trial of a program.
fn replay<S: Side + 'static>(
    spec: &Spec,
    side: S,
    program: &Arc<Program>,
) -> Result<KBox<dyn Trial>> {
    Bound::with(spec, side, |_, _, _| Replay::new(program.clone()))
}

fn trial(spec: &Spec, name: SideName, program: Option<&Arc<Program>>) -> Result<KBox<dyn Trial>> {
    let fake =
        |cost, fail_every, overlap| on(spec, Fake::new(spec.pages.max, cost, fail_every, overlap)?);
    if let (Name::Replay, Some(program)) = (spec.scenario, program) {
        return match name {
            SideName::InTree => replay(spec, InTree, program),
            SideName::Vmapcache => replay(spec, Vmapcache, program),
            // The catalog has no other.
            _ => Err(EINVAL),
        };
    }
    match (name, spec.scenario) {
        (SideName::InTree, _) => on(spec, InTree),
        (SideName::Vmapcache, _) => on(spec, Vmapcache),
        // The catalog gives it this one scenario.
        (SideName::VmMapRam, _) => Bound::<MapRam, Vmap>::ready(spec, MapRam),
        (SideName::Bare, Name::BarePage) => Bound::<Bare, BarePage>::ready(spec, Bare::new(1, 0)?),
        (SideName::Bare, _) => {
            Bound::<Bare, BareMap>::ready(spec, Bare::new(spec.pages.max, spec.threads)?)
        }
        (SideName::Fake, _) => fake(1, 0, false),
        (SideName::Fake2, _) => fake(2, 0, false),
        (SideName::FakeFail10, _) => fake(1, 10, false),
        (SideName::FakeOverlap, _) => fake(1, 0, true),
    }
}

/// One side on its way through the passes.
struct Runner {
    name: SideName,
    trial: KBox<dyn Trial>,
    /// Operations of a thread in one run.
    ops: u64,
    runs: KVec<Picos>,
    cpu: KVec<Picos>,
    writer_cpu: KVec<Picos>,
    done: u64,
    failures: u64,
    writer_ops: u64,
    latency: Option<Latency>,
    flushes: Option<FlushReport>,
    instructions: Option<Picos>,
    held: Option<u64>,
    check: Option<Verdict>,
    live: Option<[Live; CHECKPOINTS]>,
}

/// Most operations of a thread in a run.
const MOST_OPS: u64 = 100_000_000;

/// Most runs in which a side may settle.
const SETTLING_MOST: u32 = 8;

/// If a signal ended a pass, it has no result, whatever its threads have counted.
fn pass(trial: &dyn Trial, pass: Pass, stop: &Atomic<bool>) -> Result<Sums> {
    let sums = trial.pass(pass, stop)?;
    if stop.load(Relaxed) || ground::signalled() {
        return Err(EINTR);
    }
    Ok(sums)
}

impl Runner {
    fn new(spec: &Spec, name: SideName, program: Option<&Arc<Program>>) -> Result<Runner> {
        Ok(Runner {
            name,
            trial: trial(spec, name, program)?,
            ops: 0,
            runs: KVec::with_capacity(spec.runs as usize, GFP_KERNEL)?,
            cpu: KVec::with_capacity(spec.runs as usize, GFP_KERNEL)?,
            writer_cpu: KVec::with_capacity(spec.runs as usize, GFP_KERNEL)?,
            done: 0,
            failures: 0,
            writer_ops: 0,
            latency: None,
            flushes: None,
            instructions: None,
            held: None,
            check: None,
            live: None,
        })
    }

    fn plain(&self) -> Pass {
        Pass {
            ops: self.ops,
            latency: None,
            watch: false,
            count: false,
        }
    }

    /// Warms up, and finds out how many operations fill a run. An allocator with empty stocks behaves
    /// differently, so this goes on until a run is hardly faster than the one before.
    fn warm_up(&mut self, spec: &Spec, stop: &Atomic<bool>) -> Result {
        let target = u64::from(spec.ms) * 1_000_000;
        self.ops = spec.ops.unwrap_or(self.trial.batch()).into();
        let mut settling = 0;
        let mut last = u64::MAX;
        loop {
            let sums = pass(&*self.trial, self.plain(), stop)?;
            if spec.ops.is_some() {
                return Ok(());
            }
            let ns = sums.ns.max(1);
            // A run of a quarter is long enough to tell how many make a whole.
            let enough = ns >= target / 4 || self.ops >= MOST_OPS;
            let most = if enough {
                MOST_OPS
            } else {
                self.ops.saturating_mul(16)
            };
            // At most 10^8 operations times 10^10 ns.
            self.ops = (self.ops * target / ns).clamp(1, most);
            if enough {
                let settled = sums.per_op.0 >= last / 10 * 9;
                last = sums.per_op.0;
                settling += 1;
                if settled || settling == SETTLING_MOST {
                    return Ok(());
                }
            }
        }
    }

    fn run(&mut self, stop: &Atomic<bool>) -> Result {
        let sums = pass(&*self.trial, self.plain(), stop)?;
        self.runs.push(sums.per_op, GFP_KERNEL)?;
        self.cpu.push(sums.cpu_per_op, GFP_KERNEL)?;
        self.writer_cpu.push(sums.writer_cpu_per_op, GFP_KERNEL)?;
        self.done += sums.ops;
        self.failures += sums.failures;
        self.writer_ops += sums.writer_ops;
        Ok(())
    }

    fn sample(&mut self, clock: u64, stop: &Atomic<bool>) -> Result {
        let sums = pass(
            &*self.trial,
            Pass {
                latency: Some(clock),
                ..self.plain()
            },
            stop,
        )?;
        self.latency = sums.latencies.map(|h| Latency {
            p50: h.at(5_000),
            p99: h.at(9_900),
            p999: h.at(9_990),
            quantiles: SHARES.map(|share| h.at(share)),
            max: h.max(),
            samples: h.count(),
            clock,
        });
        Ok(())
    }

    /// Counts flushes in `ops` operations. Without a probe, only a side's own counter is left.
    fn count_flushes(&mut self, ops: u64, stop: &Atomic<bool>) -> Result {
        let probe = FlushCount::start().ok();
        let before = self.trial.counters();
        let sums = pass(
            &*self.trial,
            Pass {
                ops,
                ..self.plain()
            },
            stop,
        )?;
        let after = self.trial.counters();
        let probed = probe.map(FlushCount::stop);
        let own = before.flushes.zip(after.flushes);
        let own = own.map(|(before, after)| after.saturating_sub(before));
        let report = |flushes, source| FlushReport {
            flushes,
            ops: sums.ops,
            source,
            probe: probed.map_or(0, |p| p.own),
            inside: own.map(|_| after.inside.since(before.inside)),
        };
        self.flushes = match (own, probed) {
            (Some(own), _) => Some(report(own, "stats")),
            (None, Some(probed)) => Some(report(probed.other, "kprobe")),
            (None, None) => None,
        };
        Ok(())
    }

    fn count_instructions(&mut self, stop: &Atomic<bool>) -> Result {
        let sums = pass(
            &*self.trial,
            Pass {
                count: true,
                ..self.plain()
            },
            stop,
        )?;
        self.instructions = sums
            .instructions
            .map(|instructions| Picos::per_op(instructions, sums.ops));
        Ok(())
    }

    fn hold(&mut self, stop: &Atomic<bool>) -> Result {
        let sums = pass(
            &*self.trial,
            Pass {
                watch: true,
                ..self.plain()
            },
            stop,
        )?;
        self.held = Some(sums.held);
        Ok(())
    }

    fn report(&mut self, spec: &Spec, text: &mut Text) -> Result {
        let mut sorted = KVec::with_capacity(self.runs.len(), GFP_KERNEL)?;
        sorted.extend_from_slice(&self.runs, GFP_KERNEL)?;
        let report = Report {
            allocator: self.name.name(),
            summary: summary(&mut sorted),
            runs: &self.runs,
            cpu: summary(&mut self.cpu).median,
            ops: self.done,
            failures: self.failures,
            writer_ops: self.writer_ops,
            writer_cpu: summary(&mut self.writer_cpu).median,
            latency: self.latency,
            flushes: self.flushes,
            instructions: self.instructions,
            held: self.held,
            check: self.check.map(Verdict::name),
            live: self.live,
        };
        report::write(text, spec, &report).map_err(|_| ENOMEM)
    }
}

/// The time between two readings of the clock, in the caller's own thread.
fn clock_cost(stop: &Atomic<bool>) -> Result<u64> {
    let mut scratch = Histogram::new(KVec::from_elem(0u32, BUCKETS, GFP_KERNEL)?);
    Ok(measure::clock_cost(&Ground { stop }, &mut scratch))
}

/// Gives the kernel's own threads time to finish the work of one run before the next one.
fn settle() {
    fsleep(Delta::from_millis(3));
}

/// Pages of the arena that areas take before anything is measured.
fn space(spec: &Spec) -> u64 {
    let pages = if spec.scenario.needs_live() {
        spec.pages.max
    } else {
        1
    };
    let live = u64::from(spec.live) * (u64::from(pages) + 1);
    match spec.scenario {
        // A quarter of the arena may be lazy; the pieces between take as much again as `lazy=`.
        Name::LazySearch => spec.lazy_pages() * 4,
        _ => live,
    }
}

/// Measures, and writes the result.
///
/// # Errors
///
/// A complaint if the measurement is not possible here, `EINTR` after a signal, `ENOMEM`. All areas
/// are freed in any case.
pub(super) fn run(
    spec: &Spec,
    program: Option<&Arc<Program>>,
    progress: &Progress,
    text: &mut Text,
) -> Result<(), Failed> {
    let complain = |word, why| Err(Failed::Complaint(Complaint { word, why }));
    let mut spec = *spec;
    if spec.scenario == Name::Replay {
        let Some(program) = program else {
            return complain("scenario", Why::NoProgram);
        };
        spec.threads = program.shape.cpus.into();
        // Each thread has its own number.
        spec.ops = Some(1);
    }
    let spec = &spec;
    let cpus = ground::cpus();
    if spec.threads.saturating_add(spec.writers) > cpus.saturating_mul(2) {
        return complain("threads", Why::TooManyThreads(cpus));
    }
    if spec.sides().any(|side| side == SideName::Vmapcache) {
        let pages = allocator::counter(c"bytes_arena") >> PAGE_SHIFT;
        let needed = match (spec.scenario, program) {
            // With guard pages.
            (Name::Replay, Some(program)) => {
                let most = &program.shape.most;
                most.pages.saturating_add(most.areas)
            }
            _ => space(spec),
        };
        if needed > pages {
            let mib = |pages: u64| pages.div_ceil(256);
            let key = match spec.scenario {
                Name::Replay => "scenario",
                _ if spec.lazy != 0 => "lazy",
                _ => "live",
            };
            return complain(key, Why::Arena(mib(pages), mib(needed)));
        }
    }
    let sides = spec.sides().count() as u32;
    let extra = [spec.latency, spec.flushes, spec.hold, spec.check];
    let extra = extra.iter().filter(|e| **e).count() as u32;
    progress.begin(sides * (2 + spec.runs + extra));

    let stop = Atomic::new(false);
    let mut runners = KVec::new();
    for name in spec.sides() {
        let runner = match Runner::new(spec, name, program) {
            Ok(runner) => runner,
            Err(e) if e == ENOMEM && !ground::signalled() => {
                return complain(name.name(), Why::NoMemory("its areas"));
            }
            Err(e) if e == ENODEV => return complain(name.name(), Why::Missing("this side")),
            Err(e) => return Err(e.into()),
        };
        runners.push(runner, GFP_KERNEL)?;
        progress.step();
    }
    for runner in &mut runners {
        runner.warm_up(spec, &stop)?;
        progress.step();
    }
    for _ in 0..spec.runs {
        for runner in &mut runners {
            settle();
            runner.run(&stop)?;
            progress.step();
        }
    }
    if spec.latency {
        let clock = clock_cost(&stop)?;
        for runner in &mut runners {
            settle();
            runner.sample(clock, &stop)?;
            progress.step();
        }
    }
    if spec.flushes {
        // The same number on each side, so that the counts compare.
        let ops = runners.iter().map(|r| r.ops).min().unwrap_or(0);
        for runner in &mut runners {
            settle();
            runner.count_flushes(ops, &stop)?;
            progress.step();
        }
    }
    // A short pass, and none if the processor has no counter.
    if Instructions::start().is_some() {
        for runner in &mut runners {
            settle();
            runner.count_instructions(&stop)?;
        }
    }
    if spec.hold {
        for runner in &mut runners {
            settle();
            runner.hold(&stop)?;
            progress.step();
        }
    }
    if spec.check {
        for runner in &mut runners {
            let checked = runner.trial.check()?;
            runner.check = Some(checked.verdict);
            runner.live = checked.live;
            progress.step();
        }
    }
    for runner in &mut runners {
        runner.report(spec, text)?;
    }
    Ok(())
}
