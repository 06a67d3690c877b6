// SPDX-License-Identifier: GPL-2.0

//! vmapcache_bench: the laboratory. The in-tree allocator and vmapcache on the same work, in the
//! same boot.
//!
//! A consumer of vmapcache.ko like any other: it knows include/vmapcache.h and nothing else.
//!
//! A line written to debugfs `bench/run` starts a measurement; the write returns when it is done.
//! `bench/result` shows the result, `bench/error` the fault of a bad line, `bench/progress` how far a
//! measurement is. See Documentation/bench.rst.
//!
//! [`catalog`], [`mod@line`], [`histogram`], [`measure`], [`report`], [`rng`] and [`statistics`] know
//! no kernel type: tools/testing/bench builds the same files on the host.

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
}

/// The one write that measures holds this.
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
        let outcome = engine::run(&spec, &self.progress, &mut result);
        drop(turn);
        match outcome {
            Ok(()) => {
                self.show(result, Text(KVVec::new()));
                Ok(())
            }
            Err(Failed::Complaint(complaint)) => Err(self.complain(&complaint)?),
            Err(Failed::Errno(e)) => {
                let mut error = Text(KVVec::new());
                let what = if e == EINTR { "interrupted" } else { "failed" };
                writeln!(error, "{what}: errno {}", -e.to_errno()).map_err(|_| ENOMEM)?;
                self.show(Text(KVVec::new()), error);
                Err(e)
            }
        }
    }
}
