// SPDX-License-Identifier: GPL-2.0

//! The debugfs files `info`, which sums up the arena, and `callers`, which lists what each function holds.
//!
//! Documented in Documentation/ABI/testing/debugfs-vmapcache. `info` keeps its text. If
//! nothing has changed, a reader only copies it: it takes no lock, and writes no word that others read
//! except the count of hits.

use crate::{
    bindings,
    face::{
        allocator::Allocator,
        files::directory::{Directory, Out, Room},
    },
    va::{
        count::{callers::CallerId, counters::Totals},
        info::{
            cache::{Info, Top},
            record::{Record, Words},
        },
        sort::sort_by_key,
    },
};
use core::{
    cmp::Reverse,
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use kernel::{ffi::c_char, fmt, page::PAGE_SHIFT, prelude::*, sync::Arc};

/// Most bytes of a kept text; each reader makes a longer one anew. 16 callers with names of 300 bytes
/// fit.
const KEPT: usize = 8 << 10;

const WORD: usize = size_of::<u64>();

/// What readers share.
pub(crate) struct Readers {
    allocator: Arc<Allocator>,
    /// The length of the text in bytes, and the text, whole with its last line.
    kept: Record,
}

impl Readers {
    /// Nobody has read yet. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(allocator: Arc<Allocator>) -> Result<Arc<Self>> {
        let kept = Record::new(1 + KEPT / WORD)?;
        Ok(Arc::new(Self { allocator, kept }, GFP_KERNEL)?)
    }

    /// Whose arena they read.
    pub(crate) fn allocator(&self) -> &Allocator {
        &self.allocator
    }

    /// Copies the kept text into `room` and returns its length, if nothing has changed since.
    fn copy(&self, room: Room<'_>) -> Option<usize> {
        let (generations, len) = self
            .kept
            .load(|generations, words| (generations, copy(room, words)))?;
        // Asked last: so the copy is right when it is complete.
        self.allocator
            .manager()
            .is_current(generations)
            .then_some(len)
    }

    /// Keeps a text of these generations, unless the kept one is fresher.
    fn keep(&self, info: &Info, text: &[u8]) {
        if text.len() > KEPT {
            return;
        }
        let words = text.chunks(WORD).map(|bytes| {
            let mut word = [0; WORD];
            for (to, from) in word.iter_mut().zip(bytes) {
                *to = *from;
            }
            u64::from_ne_bytes(word)
        });
        self.kept.store(
            info.generations,
            Iterator::chain(core::iter::once(text.len() as u64), words),
        );
    }
}

/// Words that one step copies.
const LINE: usize = 8;

/// Copies as much of a kept text as there is room for. Returns its whole length.
#[inline]
fn copy(room: Room<'_>, words: &mut Words<'_>) -> usize {
    fn put(room: Room<'_>, word: &AtomicU64) {
        for (to, from) in room.iter_mut().zip(word.load(Relaxed).to_ne_bytes()) {
            to.write(from);
        }
    }
    let len = words.take() as usize;
    let end = room.len().min(len);
    let mut lines = room
        .get_mut(..end)
        .unwrap_or_default()
        .chunks_exact_mut(LINE * WORD);
    let mut from = words.rest().chunks_exact(LINE);
    // The room comes first: it ends the loop, so no word of `from` is lost.
    for (line, words) in lines.by_ref().zip(from.by_ref()) {
        for (room, word) in line.chunks_exact_mut(WORD).zip(words) {
            put(room, word);
        }
    }
    let last = from.next().unwrap_or_default();
    for (room, word) in lines.into_remainder().chunks_mut(WORD).zip(last) {
        put(room, word);
    }
    len
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
    if out.fill(|room| readers.copy(room)) {
        return Ok(());
    }
    // Too large for a stack that more is to come on.
    let mut info = KBox::new(Info::default(), GFP_KERNEL)?;
    let cached = readers.allocator.manager().info(&mut info);
    let mut text = Text(KVec::new());
    describe(&readers.allocator, &info, &mut text).map_err(|_| ENOMEM)?;
    out.put(&text.0);
    out.put(if cached { CACHED } else { NOT_CACHED });
    // Later readers get this text, if there is memory to keep it.
    if text.0.extend_from_slice(CACHED, GFP_KERNEL).is_ok() {
        readers.keep(&info, &text.0);
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

/// The lines of `info`, except the last.
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
            name.of(top.caller),
        )?;
    }
    writeln!(out, "generation_areas {}", info.generations.areas)?;
    writeln!(out, "generation_space {}", info.generations.space)
}

/// A line for each size that occurs, named by the largest of its group: 1, 2, 4, ... pages.
fn histogram(what: &str, sizes: &[u64], out: &mut dyn Write) -> core::fmt::Result {
    for (exponent, count) in sizes.iter().enumerate().filter(|(_, count)| **count > 0) {
        writeln!(out, "{what}_upto_{}_pages {count}", 1u64 << exponent)?;
    }
    Ok(())
}

/// The name of a caller.
struct Name([u8; bindings::VC_SYMBOL_NAME as usize]);

/// The name of callers without one: those that are not counted apart, and those whose module went when
/// there was no memory to keep their names.
const UNKNOWN: &str = "unknown";

impl Name {
    fn new() -> Self {
        Self([0; bindings::VC_SYMBOL_NAME as usize])
    }

    /// `function+offset/size`, and `[module]`.
    fn of(&mut self, caller: CallerId) -> &str {
        let buffer = self.0.as_mut_ptr().cast::<c_char>();
        // SAFETY: The buffer has room for the longest name.
        let len = unsafe { bindings::vc_caller_name(caller, buffer) };
        match self.0.get(..len) {
            Some(name) if len > 0 => as_str(name),
            _ => UNKNOWN,
        }
    }
}

/// A name without the place in the function: `function`, or `function [module]`.
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

/// The sums of one function, over all of its lines that call vmapcache.
struct Function {
    /// Where it begins; `None` if its code is gone, and other code may be there now.
    start: Option<usize>,
    /// One of its lines that allocated.
    caller: CallerId,
    totals: Totals,
}

/// A line for each function, largest first.
fn callers(readers: &Readers, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    list(
        readers.allocator(),
        readers.allocator().manager().callers(),
        f,
    )
}

/// A line for each function of these callers, largest first.
pub(super) fn list(
    allocator: &Allocator,
    callers: impl Iterator<Item = Top>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let manager = allocator.manager();
    let mut functions = KVVec::<Function>::new();
    let mut name = Name::new();
    for caller in callers {
        if caller.totals.allocs == 0 {
            continue;
        }
        let address = manager.caller(caller.caller);
        let start = match name.of(caller.caller) {
            UNKNOWN => Some(0),
            _ if address == 0 => None,
            name => Some(address.wrapping_sub(offset(name))),
        };
        let mut known = functions.iter_mut();
        match known.find(|known| start.is_some() && known.start == start) {
            Some(known) => known.totals.add(&caller.totals),
            None => {
                let function = Function {
                    start,
                    caller: caller.caller,
                    totals: caller.totals,
                };
                functions
                    .push(function, GFP_KERNEL)
                    .map_err(|_| fmt::Error)?
            }
        }
    }
    sort_by_key(&mut functions, |known| Reverse(known.totals.pages()));
    f.write_str("# bytes areas allocations frees function\n")?;
    for Function { caller, totals, .. } in functions.iter() {
        let (function, module) = function(name.of(*caller));
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
