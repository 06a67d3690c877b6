// SPDX-License-Identifier: GPL-2.0

//! Makes requests of the events of the in-tree allocator.

use super::{names::Names, Alloc, Request, What, MOST_REQUESTS};
use crate::trace::{
    layout::{check_page, Field, Format},
    page,
};
use std::collections::HashMap;

pub const ALLOC: &str = "alloc_vmap_area";
pub const FREE: &str = "free_vmap_area_noflush";
pub const PURGE: &str = "purge_vmap_area_lazy";
pub const EVENTS: [&str; 3] = [ALLOC, FREE, PURGE];

/// The fields that matter.
pub struct Layout {
    kind: Field,
    pid: Field,
    alloc: (u64, [Field; 6]),
    free: (u64, Field),
    purge: (u64, Field),
    /// Of the event with the functions on the stack; `None` if this kernel has none.
    stack: Option<(u64, Field, Field)>,
}

impl Layout {
    /// `read` returns a file below `events/`.
    pub fn new(read: impl Fn(&str) -> Result<String, String>) -> Result<Layout, String> {
        check_page(&read("header_page")?)?;
        let texts = EVENTS.map(|event| read(&format!("vmalloc/{event}/format")));
        let [alloc, free, purge] = texts;
        let (alloc, free, purge) = (alloc?, free?, purge?);
        let alloc = Format::new(ALLOC, &alloc);
        let free = Format::new(FREE, &free);
        let purge = Format::new(PURGE, &purge);
        let stack = read("ftrace/kernel_stack/format").ok();
        let stack = stack.as_ref().map(|text| Format::new("kernel_stack", text));
        let of = |name| alloc.number(name);
        Ok(Layout {
            kind: of("common_type")?,
            pid: of("common_pid")?,
            alloc: (
                alloc.id()?,
                [
                    of("addr")?,
                    of("size")?,
                    of("align")?,
                    of("vstart")?,
                    of("vend")?,
                    of("failed")?,
                ],
            ),
            free: (free.id()?, free.number("va_start")?),
            purge: (purge.id()?, purge.number("npurged")?),
            stack: stack
                .map(|stack| {
                    Ok::<_, String>((stack.id()?, stack.number("size")?, stack.words("caller")?))
                })
                .transpose()?,
        })
    }

    /// From now on no stack is expected.
    pub fn without_stacks(&mut self) {
        self.stack = None;
    }

    pub fn has_stacks(&self) -> bool {
        self.stack.is_some()
    }
}

/// An allocation or a free, as an event tells of it.
struct Seen {
    time: u64,
    cpu: u16,
    addr: u64,
    /// Of an allocation: pages, shift of the alignment, range, and the number of its stack.
    alloc: Option<(u32, u8, u8, u32)>,
}

/// The events of all CPUs, each CPU's in its own order.
pub struct Gathered {
    layout: Layout,
    page_shift: u32,
    seen: Vec<Seen>,
    /// For each CPU the last allocation whose stack may follow: its index, and the task.
    open: Vec<Option<(usize, u64)>>,
    /// The address ranges, by their first and last byte.
    ranges: Vec<(u64, u64)>,
    /// Stacks by their numbers; 0 is none.
    stacks: HashMap<Vec<u64>, u32>,
    /// The last one: most often it comes again.
    last: (Vec<u64>, u32),
    pub failed: u64,
    pub purges: u64,
    pub purged: u64,
    /// Events that make no sense.
    pub strange: u64,
    /// All events.
    pub events: u64,
}

/// More ranges than kernels have.
const MOST_RANGES: usize = 200;

impl Gathered {
    pub fn new(layout: Layout, page_bytes: u64) -> Gathered {
        Gathered {
            layout,
            page_shift: page_bytes.trailing_zeros(),
            seen: Vec::new(),
            open: Vec::new(),
            ranges: Vec::new(),
            stacks: HashMap::new(),
            last: (Vec::new(), 0),
            failed: 0,
            purges: 0,
            purged: 0,
            strange: 0,
            events: 0,
        }
    }

    /// CPUs that had a page are below this one.
    pub fn cpus(&self) -> usize {
        self.open.len()
    }

    /// Whether an allocation had a stack.
    pub fn stacks_seen(&self) -> bool {
        !self.stacks.is_empty()
    }

    /// Requests until now.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Takes a page of a CPU's buffer.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn page(&mut self, cpu: u16, page: &[u8]) -> Result<(), String> {
        if self.open.len() <= usize::from(cpu) {
            self.open.resize(usize::from(cpu) + 1, None);
        }
        page::events(page, |time, event| {
            self.events += 1;
            if self.event(time, cpu, event).is_none() {
                self.strange += 1;
            }
        })
    }

    /// `None` if it makes no sense.
    fn event(&mut self, time: u64, cpu: u16, event: &[u8]) -> Option<()> {
        let kind = self.layout.kind.of(event)?;
        let pid = self.layout.pid.of(event)?;
        let word = |field: Field| field.of(event);
        if kind == self.layout.alloc.0 {
            let [addr, size, align, first, end, failed] = self.layout.alloc.1.map(word);
            if failed? != 0 {
                self.failed += 1;
                return Some(());
            }
            let pages = u32::try_from(size? >> self.page_shift).ok()?;
            let align = align?.max(1);
            if pages == 0 || !align.is_power_of_two() {
                return None;
            }
            let range = self.range(first?, end?)?;
            *self.open.get_mut(usize::from(cpu))? = Some((self.seen.len(), pid));
            self.seen.push(Seen {
                time,
                cpu,
                addr: addr?,
                alloc: Some((pages, align.trailing_zeros() as u8, range, 0)),
            });
        } else if kind == self.layout.free.0 {
            self.seen.push(Seen {
                time,
                cpu,
                addr: word(self.layout.free.1)?,
                alloc: None,
            });
        } else if kind == self.layout.purge.0 {
            self.purges += 1;
            self.purged += word(self.layout.purge.1)?;
        } else if let Some((_, size, callers)) = self.layout.stack.filter(|s| s.0 == kind) {
            let size = usize::try_from(word(size)?).ok()?;
            let Some((at, task)) = self.open.get_mut(usize::from(cpu))?.take() else {
                // That of an allocation that was lost.
                return Some(());
            };
            if task != pid {
                return Some(());
            }
            let stack = callers.words(event).take(size);
            if !stack.clone().eq(self.last.0.iter().copied()) {
                let stack: Vec<u64> = stack.collect();
                let next = self.stacks.len() as u32 + 1;
                let number = *self.stacks.entry(stack.clone()).or_insert(next);
                self.last = (stack, number);
            }
            self.seen.get_mut(at)?.alloc.as_mut()?.3 = self.last.1;
        } else {
            return None;
        }
        Some(())
    }

    fn range(&mut self, first: u64, end: u64) -> Option<u8> {
        let found = self.ranges.iter().position(|range| *range == (first, end));
        if found.is_none() && self.ranges.len() < MOST_RANGES {
            self.ranges.push((first, end));
        }
        let index = found.unwrap_or(self.ranges.len() - 1);
        u8::try_from(index).ok()
    }

    /// The requests in the order of time, the first one at 0, with the sizes of the ranges and the names of
    /// the callers.
    pub fn requests(mut self, names: &Names) -> (Vec<Request>, Vec<u64>, Vec<String>) {
        // Stable: events of the same time stay as their CPU saw them.
        self.seen.sort_by_key(|seen| seen.time);
        // A round may have brought more, and no file has more.
        self.seen.truncate(MOST_REQUESTS);
        let mut callers = vec![String::new()];
        let mut caller_of = vec![0; self.stacks.len() + 1];
        let mut known = HashMap::new();
        for (stack, number) in &self.stacks {
            let Some(name) = names.caller(stack) else {
                continue;
            };
            let next = callers.len() as u32;
            let caller = *known.entry(name.clone()).or_insert(next);
            if caller == next {
                callers.push(name);
            }
            if let Some(entry) = caller_of.get_mut(*number as usize) {
                *entry = caller;
            }
        }
        let begin = self.seen.first().map_or(0, |seen| seen.time);
        let mut live = HashMap::new();
        let mut allocations = 0u32;
        let request = |seen: &Seen| Request {
            time: seen.time - begin,
            cpu: seen.cpu,
            what: match seen.alloc {
                Some((pages, align_shift, range, stack)) => {
                    // If its free was lost, an older one at the address lives on.
                    live.insert(seen.addr, allocations);
                    allocations += 1;
                    What::Alloc(Alloc {
                        pages,
                        align_shift,
                        range,
                        caller: caller_of.get(stack as usize).copied().unwrap_or(0),
                    })
                }
                None => What::Free(live.remove(&seen.addr)),
            },
        };
        let requests = self.seen.iter().map(request).collect();
        let sizes = self.ranges.iter().map(|(first, end)| end - first);
        (requests, sizes.collect(), callers)
    }
}
