// SPDX-License-Identifier: GPL-2.0

//! vmapcache_bench: the laboratory. The in-tree allocator and vmapcache on the same work, in the
//! same boot.
//!
//! A consumer of vmapcache.ko like any other: it knows include/vmapcache.h and nothing else.
//!
//! A line written to debugfs `bench/run` starts a measurement; the write returns when it is done.
//! `bench/result` shows the result, `bench/error` the fault of a bad line, `bench/progress` how far a
//! measurement is. `bench/program` takes a program of requests for `scenario=replay`. See
//! Documentation/bench.rst.
//!
//! [`catalog`], [`mod@line`], [`histogram`], [`measure`], [`program`], [`report`], [`rng`] and
//! [`statistics`] know no kernel type: tools/testing/bench builds the same files on the host.

mod bindings;
mod catalog;
mod check;
// The laboratory does not use all of it.
#[allow(dead_code)]
#[path = "../face/files/directory.rs"]
mod directory;
mod engine;
mod ground;
mod histogram;
mod line;
mod measure;
mod program;
mod report;
mod rng;
mod scenario;
mod side;
mod statistics;
mod trial;

use core::fmt::Write;
use directory::Directory;
use engine::Failed;
use kernel::{
    error::to_result,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, Mutex,
    },
    uaccess::UserSliceReader,
};
use line::{Complaint, Why, MAX_LINE};
use scenario::replay::{Bad, Program};

module! {
    type: Laboratory,
    name: "vmapcache_bench",
    authors: ["vmapcache developers"],
    description: "The laboratory of vmapcache: compares it with the in-tree allocator",
    license: "GPL",
}

/// The loaded module.
struct Laboratory {
    _files: Directory<Bench>,
}

impl kernel::Module for Laboratory {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: Task context; nothing of the laboratory runs yet.
        to_result(unsafe { bindings::vc_bench_symbols_resolve() })?;
        Ok(Self {
            _files: Bench::files()?,
        })
    }
}

/// Text that grows.
struct Text(KVVec<u8>);

impl Write for Text {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        self.0
            .extend_from_slice(s.as_bytes(), GFP_KERNEL)
            .map_err(|_| core::fmt::Error)
    }
}

impl Text {
    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// How far a measurement is.
struct Progress {
    steps: Atomic<u32>,
    done: Atomic<u32>,
}

impl Progress {
    fn begin(&self, steps: u32) {
        self.done.store(0, Relaxed);
        self.steps.store(steps, Relaxed);
    }

    fn step(&self) {
        self.done.fetch_add(1, Relaxed);
    }
}

/// The texts of the files.
struct Shown {
    result: Text,
    error: Text,
}

/// The laboratory's state.
#[pin_data]
struct Bench {
    busy: Atomic<bool>,
    progress: Progress,
    #[pin]
    shown: Mutex<Shown>,
    #[pin]
    program: Mutex<Option<Arc<Program>>>,
}

/// The one write that measures, or that brings a program, holds this.
struct Turn<'a>(&'a Bench);

impl<'a> Turn<'a> {
    fn take(bench: &'a Bench) -> Result<Self> {
        if bench.busy.xchg(true, kernel::sync::atomic::Acquire) {
            return Err(EBUSY);
        }
        Ok(Turn(bench))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.progress.begin(0);
        self.0.busy.store(false, kernel::sync::atomic::Release);
    }
}

impl Bench {
    /// Makes `bench/` in vmapcache's directory.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn files() -> Result<Directory<Bench>> {
        let bench = pin_init!(Bench {
            busy: Atomic::new(false),
            progress: Progress { steps: Atomic::new(0), done: Atomic::new(0) },
            shown <- new_mutex!(Shown { result: Text(KVVec::new()), error: Text(KVVec::new()) }),
            program <- new_mutex!(None),
        });
        let bench = Arc::pin_init(bench, GFP_KERNEL)?;
        let mut directory = Directory::within(c"vmapcache", c"bench", bench)?;
        directory.write(c"run", Bench::run)?;
        directory.read(c"result", |bench, f| {
            f.write_str(bench.shown.lock().result.as_str())
        })?;
        directory.read(c"error", |bench, f| {
            f.write_str(bench.shown.lock().error.as_str())
        })?;
        directory.read_write(c"program", Bench::show_program, Bench::take_program)?;
        directory.read(c"progress", |bench, f| {
            let (busy, progress) = (bench.busy.load(Relaxed), &bench.progress);
            let steps = progress.steps.load(Relaxed);
            let done = progress.done.load(Relaxed).min(steps);
            let state = if busy { "running" } else { "idle" };
            core::writeln!(f, "state={state} done={done} steps={steps}")
        })?;
        Ok(directory)
    }

    fn show(&self, result: Text, error: Text) {
        let old = core::mem::replace(&mut *self.shown.lock(), Shown { result, error });
        drop(old);
    }

    fn complain(&self, complaint: &Complaint<'_>) -> Result<Error> {
        let mut error = Text(KVVec::new());
        writeln!(error, "{complaint}").map_err(|_| ENOMEM)?;
        self.show(Text(KVVec::new()), error);
        Ok(match complaint.why {
            Why::NoMemory(_) => ENOMEM,
            _ => EINVAL,
        })
    }

    fn show_program(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        let program = self.program.lock();
        let Some(program) = &*program else {
            return Ok(());
        };
        let shape = &program.shape;
        core::writeln!(
            f,
            "requests={} allocations={} cpus={} areas_most={} pages_most={}",
            shape.requests,
            shape.allocations,
            shape.cpus,
            shape.most.areas,
            shape.most.pages
        )
    }

    /// A write to `bench/program`. A bad one changes nothing but `bench/error`.
    fn take_program(&self, reader: &mut UserSliceReader) -> Result {
        let turn = Turn::take(self)?;
        let length = reader.len();
        let complaint = if length > program::MOST_BYTES {
            program::Complaint {
                line: 0,
                why: program::Why::TooLong,
            }
        } else {
            let mut text = KVVec::from_elem(0u8, length, GFP_KERNEL)?;
            reader.read_slice(&mut text)?;
            match Program::read(&text) {
                Ok(program) => {
                    let program = Arc::new(program, GFP_KERNEL)?;
                    let old = self.program.lock().replace(program);
                    drop(old);
                    self.show(Text(KVVec::new()), Text(KVVec::new()));
                    return Ok(());
                }
                Err(Bad::Errno(e)) => return Err(e),
                Err(Bad::Program(complaint)) => complaint,
            }
        };
        drop(turn);
        let mut error = Text(KVVec::new());
        writeln!(error, "{complaint}").map_err(|_| ENOMEM)?;
        self.shown.lock().error = error;
        Err(EINVAL)
    }

    /// A write to `bench/run`.
    fn run(&self, reader: &mut UserSliceReader) -> Result {
        let turn = Turn::take(self)?;
        let mut buffer = [0u8; MAX_LINE];
        let length = reader.len();
        let Some(line) = buffer.get_mut(..length) else {
            let complaint = Complaint {
                word: "",
                why: Why::TooLong,
            };
            return Err(self.complain(&complaint)?);
        };
        reader.read_slice(line)?;
        let spec = match line::parse(line) {
            Ok(spec) => spec,
            Err(complaint) => return Err(self.complain(&complaint)?),
        };
        self.show(Text(KVVec::new()), Text(KVVec::new()));
        let mut result = Text(KVVec::new());
        let program = self.program.lock().clone();
        let outcome = engine::run(&spec, program.as_ref(), &self.progress, &mut result);
        drop(turn);
        match outcome {
            Ok(()) => {
                self.show(result, Text(KVVec::new()));
                Ok(())
            }
            Err(Failed::Complaint(complaint)) => Err(self.complain(&complaint)?),
            Err(Failed::Errno(e)) => {
                // After a signal the kernel starts no thread, and may refuse memory.
                let e = if e == ENOMEM && ground::signalled() {
                    EINTR
                } else {
                    e
                };
                let mut error = Text(KVVec::new());
                let what = if e == EINTR { "interrupted" } else { "failed" };
                writeln!(error, "{what}: errno {}", -e.to_errno()).map_err(|_| ENOMEM)?;
                self.show(Text(KVVec::new()), error);
                Err(e)
            }
        }
    }
}
