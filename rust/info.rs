// SPDX-License-Identifier: GPL-2.0

//! What debugfs shows of the arena: `info`, all in one, and `callers`, who holds what.
//!
//! Documented in Documentation/ABI/testing/debugfs-vmapcache. `info` is kept as text, so that a
//! reader who finds nothing changed copies it, and that is all. Readers share a lock over the kept
//! text; nobody who allocates or frees takes it.

use crate::{
    api::Allocator,
    bindings,
    directory::{Directory, Out},
    va::{counters::Totals, info::Generations, info::Info},
};
use core::fmt::Write;
use kernel::{
    ffi::c_char,
    fmt, new_spinlock,
    page::PAGE_SHIFT,
    prelude::*,
    sync::{Arc, SpinLock},
};

/// A text, whole with its last line, and what it tells of.
struct Kept {
    generations: Generations,
    text: KVec<u8>,
}

/// What readers share.
#[pin_data]
pub(crate) struct Readers {
    allocator: Arc<Allocator>,
    #[pin]
    kept: SpinLock<Option<Kept>>,
}

impl Readers {
    /// Nobody has read yet. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(allocator: Arc<Allocator>) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                allocator,
                kept <- new_spinlock!(None, "vmapcache_info_text"),
            }),
            GFP_KERNEL,
        )
    }

    /// What they read of.
    pub(crate) fn allocator(&self) -> &Allocator {
        &self.allocator
    }

    /// Keeps a text, unless a fresher one is there.
    fn keep(&self, new: Kept) {
        let mut kept = self.kept.lock();
        let unused = match &*kept {
            Some(old) if !new.generations.fresher_than(old.generations) => Some(new),
            _ => kept.replace(new),
        };
        // Freed outside of the lock.
        drop(kept);
        drop(unused);
    }
}

/// Adds the files to a directory.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn add(directory: &mut Directory<Readers>) -> Result {
    directory.hand(c"info", info)?;
    directory.read(c"callers", callers)
}

fn info(readers: &Readers, out: &mut Out<'_>) -> Result {
    let manager = readers.allocator.manager();
    if let Some(kept) = &*readers.kept.lock() {
        if manager.is_current(kept.generations) {
            out.put(&kept.text);
            return Ok(());
        }
    }
    let (info, cached) = manager.info();
    let mut text = Text(KVec::new());
    describe(&readers.allocator, &info, &mut text).map_err(|_| ENOMEM)?;
    out.put(&text.0);
    out.put(if cached { CACHED } else { NOT_CACHED });
    // What later readers get, if there is memory to keep it.
    if text.0.extend_from_slice(CACHED, GFP_KERNEL).is_ok() {
        readers.keep(Kept {
            generations: info.generations,
            text: text.0,
        });
    }
    Ok(())
}

const CACHED: &[u8] = b"cached yes\n";
const NOT_CACHED: &[u8] = b"cached no\n";

/// Text that grows.
struct Text(KVec<u8>);

impl Write for Text {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        self.0
            .extend_from_slice(s.as_bytes(), GFP_KERNEL)
            .map_err(|_| core::fmt::Error)
    }
}

fn as_str(text: &[u8]) -> &str {
    core::str::from_utf8(text).unwrap_or_default()
}

fn bytes(pages: u64) -> u64 {
    pages << PAGE_SHIFT
}

/// The lines of `info`, but for the last.
fn describe(allocator: &Allocator, info: &Info, out: &mut dyn Write) -> core::fmt::Result {
    let totals = &info.areas.totals;
    let live = totals.pages();
    let guard = totals.gross().saturating_sub(live);
    let lazy = info.areas.lazy_gross;
    for (key, value) in [
        ("bytes_arena", bytes(allocator.manager().pages().into())),
        ("bytes_used", bytes(live + guard + lazy)),
        ("bytes_live", bytes(live)),
        ("bytes_guard", bytes(guard)),
        ("bytes_lazy", bytes(lazy)),
        ("bytes_free", bytes(info.free_gross())),
        ("bytes_stock", bytes(info.areas.stock_gross)),
        ("areas", totals.areas()),
        ("free_extents", info.space.free.extents),
        ("largest_free_bytes", bytes(info.space.free.largest.into())),
        ("fragmentation_percent", info.fragmentation()),
    ] {
        writeln!(out, "{key} {value}")?;
    }
    histogram("areas", &info.areas.sizes, out)?;
    histogram("free_extents", &info.space.sizes, out)?;
    let top = info.areas.top.iter().filter(|top| top.totals.pages() > 0);
    for (i, top) in top.enumerate() {
        let mut name = Name::new();
        writeln!(
            out,
            "caller_{} {} {} {}",
            i + 1,
            bytes(top.totals.pages()),
            top.totals.areas(),
            name.of(allocator.manager().caller(top.caller)),
        )?;
    }
    writeln!(out, "generation_areas {}", info.generations.areas)?;
    writeln!(out, "generation_space {}", info.generations.space)
}

/// A line for each size that there is, named by the largest of its kind: 1, 2, 4, ... pages.
fn histogram(what: &str, sizes: &[u64], out: &mut dyn Write) -> core::fmt::Result {
    for (exponent, count) in sizes.iter().enumerate().filter(|(_, count)| **count > 0) {
        writeln!(out, "{what}_upto_{}_pages {count}", 1u64 << exponent)?;
    }
    Ok(())
}

/// The name of a code address.
struct Name([u8; bindings::VC_SYMBOL_NAME as usize]);

/// What has no name: callers beyond what is counted apart, and those whose module is gone.
const UNKNOWN: &str = "unknown";

impl Name {
    fn new() -> Self {
        Self([0; bindings::VC_SYMBOL_NAME as usize])
    }

    /// `function+offset/size`, and `[module]`.
    fn of(&mut self, address: usize) -> &str {
        let buffer = self.0.as_mut_ptr().cast::<c_char>();
        // SAFETY: The buffer has room for the longest name.
        let len = unsafe { bindings::vc_symbol_name(address, buffer) };
        match self.0.get(..len) {
            Some(name) if len > 0 => as_str(name),
            _ => UNKNOWN,
        }
    }
}

/// A name without the place in the function: `function`, and ` [module]` or nothing.
fn function(name: &str) -> (&str, &str) {
    let (function, place) = name.split_once('+').unwrap_or((name, ""));
    (
        function,
        place
            .find(" [")
            .and_then(|at| place.get(at..))
            .unwrap_or(""),
    )
}

/// The offset in `function+offset/size [module]`.
fn offset(name: &str) -> usize {
    name.split_once("+0x")
        .and_then(|(_, place)| place.split_once('/'))
        .and_then(|(offset, _)| usize::from_str_radix(offset, 16).ok())
        .unwrap_or(0)
}

/// What one function holds and has done, whichever of its lines it was.
struct Function {
    /// Where it begins; 0 for all that are unknown.
    start: usize,
    totals: Totals,
}

/// A line for each function, largest first.
fn callers(readers: &Readers, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let manager = readers.allocator.manager();
    let mut functions = KVVec::<Function>::new();
    let mut name = Name::new();
    for caller in manager.callers() {
        if caller.totals.allocs == 0 {
            continue;
        }
        let address = manager.caller(caller.caller);
        let start = match name.of(address) {
            UNKNOWN => 0,
            name => address.wrapping_sub(offset(name)),
        };
        match functions.iter_mut().find(|known| known.start == start) {
            Some(known) => known.totals.add(&caller.totals),
            None => {
                let totals = caller.totals;
                functions
                    .push(Function { start, totals }, GFP_KERNEL)
                    .map_err(|_| fmt::Error)?
            }
        }
    }
    functions.sort_unstable_by_key(|known| core::cmp::Reverse(known.totals.pages()));
    f.write_str("# bytes areas allocations frees function\n")?;
    for Function { start, totals } in functions.iter() {
        let (function, module) = match start {
            0 => (UNKNOWN, ""),
            start => function(name.of(*start)),
        };
        writeln!(
            f,
            "{} {} {} {} {function}{module}",
            bytes(totals.pages()),
            totals.areas(),
            totals.allocs,
            totals.frees,
        )?;
    }
    Ok(())
}
