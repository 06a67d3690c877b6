// SPDX-License-Identifier: GPL-2.0

//! The surroundings of a manager under test: page tables and a TLB that remember.
//!
//! Every page knows whether it is mapped, and if not, when its PTE was cleared. A TLB may hold a page
//! until a flush that began after that moment has completed; only then is the page clean. Nobody may
//! map a page that is not clean (invariants 1 and 2 of Documentation/design.rst).

use crate::{
    collections::{Box, Mutex, Vec},
    knobs::{assert_may_sleep, is_atomic, yield_now},
    sys::Page,
    va::{env::Purged, Env},
};
use core::{
    ffi::CStr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

const CLEAN: u64 = 0;
const MAPPED: u64 = u64::MAX;

/// Nanoseconds from one reading of the clock to the next.
pub const TICK: u64 = 1_000;

/// Page tables and TLB of an arena.
pub struct TestEnv {
    pages: Vec<AtomicU64>,
    clock: AtomicU64,
    reads: AtomicU64,
    /// Somebody asked for a background purge.
    pub purge_kicked: AtomicBool,
    /// Somebody asked for the work item that finishes deferred frees.
    pub deferred_kicked: AtomicBool,
    /// Somebody has asked for memory of bookkeeping to be freed.
    pub trim_kicked: AtomicBool,
    /// The purge that runs, and the flushes since it began.
    purging: Mutex<Option<(&'static CStr, u64)>>,
    /// What the purges say that they have done, the last of them in the end.
    pub purges: Mutex<Vec<(&'static CStr, Purged)>>,
    /// What others do when they are asked to free something.
    pub others: Mutex<Option<Helper>>,
    /// What finishes deferred frees.
    pub worker: Mutex<Option<Helper>>,
}

/// Does something for a request that is short of space. False if it could do nothing.
pub type Helper = Box<dyn Fn() -> bool + Send>;

fn help(helper: &Mutex<Option<Helper>>) -> bool {
    assert_may_sleep();
    helper.lock().unwrap().as_ref().is_some_and(|help| help())
}

impl TestEnv {
    /// An arena of `pages` pages, not mapped and clean.
    pub fn new(pages: u32) -> Self {
        Self {
            pages: (0..pages).map(|_| AtomicU64::new(CLEAN)).collect(),
            clock: AtomicU64::new(1),
            reads: AtomicU64::new(0),
            purge_kicked: AtomicBool::new(false),
            deferred_kicked: AtomicBool::new(false),
            trim_kicked: AtomicBool::new(false),
            purging: Mutex::new(None),
            purges: Mutex::new(Vec::new()),
            others: Mutex::new(None),
            worker: Mutex::new(None),
        }
    }

    fn range(&self, start: Page, pages: u32) -> &[AtomicU64] {
        &self.pages[start.get() as usize..][..pages as usize]
    }

    /// Whether all pages of a range are mapped.
    pub fn is_mapped(&self, start: Page, pages: u32) -> bool {
        let mut range = self.range(start, pages).iter();
        range.all(|page| page.load(SeqCst) == MAPPED)
    }

    /// Whether no TLB may hold a page that is not mapped.
    pub fn is_flushed(&self) -> bool {
        let mut pages = self.pages.iter();
        pages.all(|page| matches!(page.load(SeqCst), CLEAN | MAPPED))
    }

    /// Sets the PTEs of an area that was just allocated.
    #[track_caller]
    pub fn map(&self, start: Page, pages: u32) {
        for (at, page) in (start.get()..).zip(self.range(start, pages)) {
            match page.swap(MAPPED, SeqCst) {
                CLEAN => {}
                MAPPED => panic!("page {at} is mapped twice"),
                _ => panic!("page {at} is mapped before it was flushed"),
            }
        }
        let guard = self.range(start.plus(pages), 1)[0].load(SeqCst);
        assert!(guard != MAPPED, "the guard page of {start:?} is mapped");
    }

    /// Clears the PTEs of an area.
    #[track_caller]
    pub fn clear(&self, start: Page, pages: u32) {
        for page in self.range(start, pages) {
            let now = self.clock.fetch_add(1, SeqCst);
            assert_eq!(
                page.swap(now, SeqCst),
                MAPPED,
                "area {start:?} was not mapped"
            );
        }
    }
}

impl Env for TestEnv {
    fn flush(&self, start: Page, end: Page) {
        assert!(!is_atomic(), "a flush where nothing may sleep");
        assert_may_sleep();
        if let Some((_, flushes)) = &mut *self.purging.lock().unwrap() {
            *flushes += 1;
        }
        let began = self.clock.fetch_add(1, SeqCst);
        yield_now();
        for page in self.range(start, end.since(start)) {
            let cleared = page.load(SeqCst);
            if cleared < began {
                // If the page moved on meanwhile, nothing is lost.
                let _ = page.compare_exchange(cleared, CLEAN, SeqCst, SeqCst);
            }
        }
    }

    fn kick_purge(&self) {
        self.purge_kicked.store(true, SeqCst);
    }

    fn kick_deferred(&self) {
        self.deferred_kicked.store(true, SeqCst);
    }

    fn kick_trim(&self) {
        self.trim_kicked.store(true, SeqCst);
    }

    fn finish_deferred(&self) {
        help(&self.worker);
    }

    fn ask_others(&self) -> bool {
        help(&self.others)
    }

    fn resched(&self) {
        assert!(!is_atomic(), "a point to sleep where nothing may");
        assert_may_sleep();
    }

    fn may_sleep(&self) -> bool {
        !is_atomic()
    }

    /// A tick later each time.
    fn now(&self) -> u64 {
        self.reads.fetch_add(TICK, SeqCst)
    }

    fn purge_begins(&self, how: &'static CStr, _lazy: u64) {
        let before = self.purging.lock().unwrap().replace((how, 0));
        assert_eq!(before, None, "{how:?} begins before another has ended");
    }

    fn purge_ends(&self, how: &'static CStr, purged: &Purged) {
        let (began, flushes) = self.purging.lock().unwrap().take().unwrap();
        assert_eq!(began, how, "another purge ends than the one that began");
        // Other tasks may have flushed, too.
        assert!(
            purged.flushes <= flushes,
            "{purged:?} with {flushes} flushes"
        );
        self.purges.lock().unwrap().push((how, *purged));
    }
}

/// Surroundings without page tables, whose flushes do nothing: for tests of sums alone.
pub struct IdleEnv;

impl Env for IdleEnv {
    fn flush(&self, _: Page, _: Page) {}
    fn kick_purge(&self) {}
    fn kick_deferred(&self) {}
    fn kick_trim(&self) {}
    fn finish_deferred(&self) {}
    fn ask_others(&self) -> bool {
        false
    }
    fn resched(&self) {}
    fn may_sleep(&self) -> bool {
        true
    }
    fn now(&self) -> u64 {
        0
    }
}
