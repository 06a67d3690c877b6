// SPDX-License-Identifier: GPL-2.0

//! One scenario on one side, made ready: the engine runs it over and over.

use super::{
    ground,
    ground::{Ground, Instructions},
    histogram::{Histogram, BUCKETS},
    line::{Spec, Switches},
    measure::{self, Done, Ground as _},
    scenario::{At, Checked, Scenario},
    side::{Counters, Held, Side},
    statistics::Picos,
};
use core::hint::black_box;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Mutex,
    },
};

/// The task of one pass over a trial.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    /// Operations of each thread.
    pub(super) ops: u64,
    /// Measure the latency of each operation, minus this cost of the clock.
    pub(super) latency: Option<u64>,
    /// Watch each CPU.
    pub(super) watch: bool,
    /// Count instructions.
    pub(super) count: bool,
}

/// The sums over all threads of a pass.
pub(super) struct Sums {
    pub(super) ops: u64,
    pub(super) failures: u64,
    /// Longest time that a thread took.
    pub(super) ns: u64,
    /// Mean over threads of the time of an operation.
    pub(super) per_op: Picos,
    /// CPU time of an operation.
    pub(super) cpu_per_op: Picos,
    pub(super) writer_ops: u64,
    pub(super) writer_cpu_per_op: Picos,
    /// Instructions of all operations, if every thread could count them.
    pub(super) instructions: Option<u64>,
    /// The longest delay that a watch saw, in ns.
    pub(super) held: u64,
    pub(super) latencies: Option<Histogram<KVec<u32>>>,
}

/// A [`Sums`] in the making.
struct Tally {
    threads: u64,
    picos: u64,
    cpu_ns: u64,
    writer_cpu_ns: u64,
    error: Option<Error>,
    sums: Sums,
}

/// A scenario bound to a side.
pub(super) trait Trial: Send + Sync {
    /// Runs all threads once. They end early if somebody sets `stop`.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal, `ENOMEM`.
    fn pass(&self, pass: Pass, stop: &Atomic<bool>) -> Result<Sums>;

    /// Allocates many areas at once and checks each.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `EINTR`. A wrong area is no error but the answer.
    fn check(&self) -> Result<Checked>;

    /// Operations between two pauses.
    fn batch(&self) -> u32;

    fn counters(&self) -> Counters;
}

/// The one implementation of [`Trial`].
pub(super) struct Bound<S: Side, C> {
    spec: Spec,
    /// Dropped before the fields that it came from.
    scenario: C,
    live: KVVec<Held>,
    switched: Switched<S>,
}

impl<S: Side, C> Drop for Bound<S, C> {
    fn drop(&mut self) {
        free_live(&self.switched.side, &self.live);
    }
}

/// A side with the switches that a line sets for it, from before its first area to after its last.
struct Switched<S: Side> {
    side: S,
    /// The old values, set again at the end.
    before: Option<Switches>,
}

impl<S: Side> Switched<S> {
    fn new(side: S, switches: &Switches) -> Self {
        // A side without switches may run beside one that has them.
        let before = switches
            .any()
            .then(|| side.set_switches(switches))
            .flatten();
        // A side's stock depends on earlier measurements; this one must not.
        side.fresh();
        Switched { side, before }
    }
}

impl<S: Side> Drop for Switched<S> {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            self.side.set_switches(before);
            // The next measurement must not find what piled up under these switches.
            self.side.purge();
        }
    }
}

fn free_live<S: Side>(side: &S, live: &[Held]) {
    for (i, area) in live.iter().enumerate() {
        side.va_free(*area);
        if i % 64 == 0 {
            ground::resched();
        }
    }
}

/// Allocates the areas of `live=`.
fn make_live<S: Side>(side: &S, count: u32, pages: u32) -> Result<KVVec<Held>> {
    let mut live = KVVec::with_capacity(count as usize, GFP_KERNEL)?;
    for i in 0..count {
        let area = side.va_alloc(pages, 1);
        let Some(area) = area.filter(|_| !(i % 64 == 0 && ground::signalled())) else {
            if let Some(area) = area {
                side.va_free(area);
            }
            free_live(side, &live);
            return Err(if area.is_some() { EINTR } else { ENOMEM });
        };
        // There is room, so this cannot fail.
        live.push(area, GFP_KERNEL)?;
        if i % 64 == 0 {
            ground::resched();
        }
    }
    Ok(live)
}

impl<S: Side + 'static, C: Scenario<S> + 'static> Bound<S, C> {
    /// Makes the areas of `live=` and the state of the scenario.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINTR` after a signal. Then everything is freed again.
    pub(super) fn ready(spec: &Spec, side: S) -> Result<KBox<dyn Trial>> {
        Self::with(spec, side, C::prepare)
    }

    /// The same, with another way to make the scenario.
    ///
    /// # Errors
    ///
    /// As `ready`, and those of `prepare`.
    pub(super) fn with(
        spec: &Spec,
        side: S,
        prepare: impl FnOnce(&Spec, &S, &mut KVVec<Held>) -> Result<C>,
    ) -> Result<KBox<dyn Trial>> {
        let lookups = spec.scenario.needs_live();
        let pages = if lookups { spec.pages.max } else { 1 };
        let count = spec.live.saturating_add(C::extra_live(spec));
        let switched = Switched::new(side, &spec.switches);
        let side = &switched.side;
        let mut live = make_live(side, count, pages)?;
        let scenario = match prepare(spec, side, &mut live) {
            Ok(scenario) => scenario,
            Err(e) => {
                free_live(side, &live);
                return Err(e);
            }
        };
        let bound = Bound {
            spec: *spec,
            scenario,
            live,
            switched,
        };
        Ok(KBox::new(bound, GFP_KERNEL)?)
    }

    /// The work of one thread in a pass.
    fn work(
        &self,
        thread: u32,
        pass: &Pass,
        meeting: &Meeting,
        ground: &Ground<'_>,
    ) -> Result<Work> {
        let at = At {
            spec: &self.spec,
            side: &self.switched.side,
            live: &self.live,
            thread,
            stop: ground.stop,
        };
        let batch = C::batch(&self.spec);
        let ops = self.scenario.ops(thread, pass.ops);
        let mut step = self.scenario.worker(at)?;
        let mut latencies = match pass.latency {
            Some(_) => Some(Histogram::new(KVec::from_elem(0u32, BUCKETS, GFP_KERNEL)?)),
            None => None,
        };
        let counter = pass.count.then(Instructions::start).flatten();
        meeting.meet(ground);
        let cpu = ground::cpu_time();
        let before = counter.as_ref().map(Instructions::read);
        let done = match (&mut latencies, pass.latency) {
            (Some(latencies), Some(clock)) => {
                measure::sampled(ground, &mut step, ops, batch, clock, latencies)
            }
            _ => measure::timed(ground, &mut step, ops, batch),
        };
        let after = counter.as_ref().map(Instructions::read);
        meeting.leave();
        let cpu_ns = ground::cpu_time().saturating_sub(cpu);
        Ok(Work {
            done,
            cpu_ns,
            instructions: after
                .zip(before)
                .map(|(after, before)| after.saturating_sub(before)),
            latencies,
        })
    }

    /// Allocates and frees beside the timed threads until they are done.
    fn write(&self, meeting: &Meeting, ground: &Ground<'_>) -> Work {
        meeting.meet(ground);
        // One page more than the live areas: so a writer never allocates in a hole between them, and
        // `lookup_miss` relies on that.
        let pages = self.spec.pages.max.saturating_add(1);
        let cpu = ground::cpu_time();
        let mut done = Done {
            start: ground.now(),
            ..Done::default()
        };
        while !meeting.over() && ground.pause() {
            for _ in 0..16 {
                match self.switched.side.va_alloc(pages, 1) {
                    Some(area) => self.switched.side.va_free(black_box(area)),
                    None => done.failures += 1,
                }
                done.ops += 1;
            }
        }
        done.end = ground.now();
        let cpu_ns = ground::cpu_time().saturating_sub(cpu);
        Work {
            done,
            cpu_ns,
            instructions: None,
            latencies: None,
        }
    }
}

/// The result of one thread.
struct Work {
    done: Done,
    cpu_ns: u64,
    instructions: Option<u64>,
    latencies: Option<Histogram<KVec<u32>>>,
}

/// Here threads wait for each other, so that their clocks start together, and see when the timed ones
/// have ended.
struct Meeting {
    missing: Atomic<u32>,
    working: Atomic<u32>,
}

impl Meeting {
    fn meet(&self, ground: &Ground<'_>) {
        self.missing.fetch_sub(1, Relaxed);
        while self.missing.load(Relaxed) != 0 && !ground.stop.load(Relaxed) {
            ground::give_way();
        }
    }

    fn leave(&self) {
        self.working.fetch_sub(1, Relaxed);
    }

    fn over(&self) -> bool {
        self.working.load(Relaxed) == 0
    }
}

impl Tally {
    fn timed(&mut self, work: Work) {
        self.threads += 1;
        self.picos += Picos::per_op(work.done.ns(), work.done.ops).0;
        self.cpu_ns += work.cpu_ns;
        self.sums.ops += work.done.ops;
        self.sums.failures += work.done.failures;
        self.sums.ns = self.sums.ns.max(work.done.ns());
        let both = self.sums.instructions.zip(work.instructions);
        self.sums.instructions = both.map(|(all, own)| all.saturating_add(own));
        match (&mut self.sums.latencies, work.latencies) {
            (Some(all), Some(own)) => all.merge(&own),
            (none, own) => *none = own,
        }
    }

    /// Divides the sums.
    fn finish(mut self, cpus: u32) -> Result<Sums> {
        if let Some(e) = self.error {
            return Err(e);
        }
        // If threads share a CPU, each waits while the others run: an operation counts with its share
        // of the CPU only.
        let threads = self.threads.max(1);
        let share = u64::from(cpus).min(threads);
        self.sums.per_op = Picos((self.picos / threads).saturating_mul(share) / threads);
        self.sums.cpu_per_op = Picos::per_op(self.cpu_ns, self.sums.ops);
        self.sums.writer_cpu_per_op = Picos::per_op(self.writer_cpu_ns, self.sums.writer_ops);
        Ok(self.sums)
    }
}

impl<S: Side + 'static, C: Scenario<S> + 'static> Trial for Bound<S, C> {
    fn pass(&self, pass: Pass, stop: &Atomic<bool>) -> Result<Sums> {
        let cpus = ground::cpus();
        let (threads, writers) = (self.spec.threads, self.spec.writers);
        let watches = if pass.watch { cpus } else { 0 };
        let tally = Tally {
            threads: 0,
            picos: 0,
            cpu_ns: 0,
            writer_cpu_ns: 0,
            error: None,
            sums: Sums {
                ops: 0,
                failures: 0,
                ns: 0,
                per_op: Picos(0),
                cpu_per_op: Picos(0),
                writer_ops: 0,
                writer_cpu_per_op: Picos(0),
                instructions: Some(0),
                held: 0,
                latencies: None,
            },
        };
        let tally = KBox::pin_init(new_mutex!(Some(tally)), GFP_KERNEL)?;
        let meeting = Meeting {
            missing: Atomic::new(threads + writers),
            working: Atomic::new(threads),
        };
        // Stops the watches, when all other threads are done.
        let watched = Atomic::new(false);
        let busy = Atomic::new(threads + writers);
        let ground = Ground { stop };

        let ended = ground::team(threads + writers + watches, stop, &|i| {
            if i >= threads + writers {
                let held = ground::watch(&watched);
                with(&tally, |t| t.sums.held = t.sums.held.max(held));
                return;
            }
            if i < threads {
                match self.work(i, &pass, &meeting, &ground) {
                    Ok(work) => with(&tally, |t| t.timed(work)),
                    Err(e) => {
                        // The others would wait for this one.
                        stop.store(true, Relaxed);
                        meeting.leave();
                        with(&tally, |t| t.error = Some(e));
                    }
                }
            } else {
                let work = self.write(&meeting, &ground);
                with(&tally, |t| {
                    t.sums.writer_ops += work.done.ops;
                    t.writer_cpu_ns += work.cpu_ns;
                });
            }
            if busy.fetch_sub(1, Relaxed) == 1 {
                watched.store(true, Relaxed);
            }
        });
        self.scenario.after(&self.switched.side);
        ended?;
        let tally = tally.lock().take().ok_or(EINVAL)?;
        tally.finish(cpus)
    }

    fn check(&self) -> Result<Checked> {
        self.scenario.check(&self.spec, &self.switched.side)
    }

    fn batch(&self) -> u32 {
        C::batch(&self.spec)
    }

    fn counters(&self) -> Counters {
        self.switched.side.counters()
    }
}

fn with(tally: &Mutex<Option<Tally>>, f: impl FnOnce(&mut Tally)) {
    if let Some(tally) = &mut *tally.lock() {
        f(tally);
    }
}
