// SPDX-License-Identifier: GPL-2.0

//! A program of requests, as written to `bench/program` for `scenario=replay`.
//!
//! A line `requests N`, then N lines, in an order in which they can happen:
//!
//! - `CPU a PAGES ALIGN`: that CPU allocates; the alignment in pages;
//! - `CPU f NUMBER`: it frees the allocation of that number, counted from 0.
//!
//! Plain safe Rust without a kernel type; the host tests include this file and feed it with random text.
//! Nothing here allocates, or can panic.

use core::fmt;

/// Longest text, in bytes.
pub(crate) const MOST_BYTES: usize = 32 << 20;
/// Most requests.
pub(crate) const MOST_REQUESTS: usize = 1 << 20;
/// CPUs are counted from 0 up to this one, which is none.
pub(crate) const MOST_CPUS: u16 = 256;
/// Largest area, and largest alignment, in pages.
const MOST_PAGES: u32 = 1 << 20;
const MOST_ALIGN: u32 = 65_536;

/// An allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) pages: u32,
    /// In pages, a power of two.
    pub(crate) align: u32,
    /// The program frees it, too.
    pub(crate) freed: bool,
}

/// A request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) cpu: u16,
    /// It frees the slot; else it allocates it.
    pub(crate) frees: bool,
    pub(crate) slot: u32,
}

/// Areas that live at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) areas: u64,
    pub(crate) pages: u64,
}

/// Moments at which the live areas are compared. The last one is the end.
pub(crate) const CHECKPOINTS: usize = 8;

/// The size of a program, and the areas that live while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) requests: usize,
    pub(crate) allocations: usize,
    /// CPUs are below this one.
    pub(crate) cpus: u16,
    /// Most areas and most pages that live at once.
    pub(crate) most: Live,
    /// The areas that live at each checkpoint.
    pub(crate) live: [Live; CHECKPOINTS],
}

/// Whether checkpoint `n` comes when this number of requests are done. Of a short program, some are at the
/// same moment.
pub(crate) fn due(n: usize, done: usize, requests: usize) -> bool {
    requests.saturating_mul(n + 1) / CHECKPOINTS == done
}

/// Why a program was refused. Shown as one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// Counted from 1; 0: the whole.
    pub(crate) line: usize,
    pub(crate) why: Why,
}

/// The reason of a [`Complaint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    TooLong,
    NotText,
    NoCount,
    Count,
    /// Requests that the first line says, and that there are.
    Cut(usize, usize),
    More(usize),
    NoEnd,
    Words,
    Cpu,
    Pages,
    Align,
    NoSuch(u64),
    Freed(u32),
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str("program: ")?,
            line => write!(f, "program, line {line}: ")?,
        }
        match self.why {
            Why::TooLong => write!(f, "longer than {MOST_BYTES} bytes"),
            Why::NotText => f.write_str("not plain text"),
            Why::NoCount => f.write_str("not \"requests N\""),
            Why::Count => write!(f, "must be 1 to {MOST_REQUESTS} requests"),
            Why::Cut(said, there) => write!(
                f,
                "{there} requests in this write instead of {said}: the whole program must be one write"
            ),
            Why::More(said) => write!(f, "more than the {said} requests of the first line"),
            Why::NoEnd => f.write_str("ends without a newline: it is cut off"),
            Why::Words => f.write_str("neither \"CPU a PAGES ALIGN\" nor \"CPU f NUMBER\""),
            Why::Cpu => write!(f, "the CPU must be 0 to {}", MOST_CPUS - 1),
            Why::Pages => write!(f, "must be 1 to {MOST_PAGES} pages"),
            Why::Align => write!(f, "the alignment must be a power of two up to {MOST_ALIGN}"),
            Why::NoSuch(number) => write!(f, "frees allocation {number}, which no line before makes"),
            Why::Freed(number) => write!(f, "frees allocation {number} a second time"),
        }
    }
}

fn complain<T>(line: usize, why: Why) -> Result<T, Complaint> {
    Err(Complaint { line, why })
}

fn number(word: &str) -> Option<u64> {
    // Digits only: `parse` would take "+1" as well.
    let digits = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}

/// The requests of a program, by its first line. So much room does [`parse`] need.
///
/// # Errors
///
/// A complaint about the first line, or about the whole.
pub(crate) fn requests(text: &[u8]) -> Result<usize, Complaint> {
    if text.len() > MOST_BYTES {
        return complain(0, Why::TooLong);
    }
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let count = core::str::from_utf8(line)
        .ok()
        .and_then(|line| number(line.strip_prefix("requests ")?));
    let Some(count) = count else {
        return complain(1, Why::NoCount);
    };
    match usize::try_from(count) {
        Ok(count @ 1..=MOST_REQUESTS) => Ok(count),
        _ => complain(1, Why::Count),
    }
}

/// A line before it is known what it refers to.
enum Line {
    Alloc { pages: u32, align: u32 },
    Free(u64),
}

fn line(text: &str) -> Result<(u16, Line), Why> {
    let mut words = text.split(' ');
    let mut word = || words.next().ok_or(Why::Words);
    let cpu = number(word()?).and_then(|cpu| u16::try_from(cpu).ok());
    let cpu = cpu.filter(|cpu| *cpu < MOST_CPUS).ok_or(Why::Cpu)?;
    let line = match word()? {
        "a" => {
            let pages = number(word()?).and_then(|pages| u32::try_from(pages).ok());
            let align = number(word()?).and_then(|align| u32::try_from(align).ok());
            Line::Alloc {
                pages: pages
                    .filter(|pages| (1..=MOST_PAGES).contains(pages))
                    .ok_or(Why::Pages)?,
                align: align
                    .filter(|align| align.is_power_of_two() && *align <= MOST_ALIGN)
                    .ok_or(Why::Align)?,
            }
        }
        "f" => Line::Free(number(word()?).ok_or(Why::Words)?),
        _ => return Err(Why::Words),
    };
    match words.next() {
        None => Ok((cpu, line)),
        Some(_) => Err(Why::Words),
    }
}

/// Reads a program. `moves` and `slots` have each as much room as [`requests`] says; it fills their first
/// parts. Calls `pause` now and then.
///
/// # Errors
///
/// The first fault.
pub(crate) fn parse(
    text: &[u8],
    moves: &mut [Move],
    slots: &mut [Slot],
    mut pause: impl FnMut(),
) -> Result<Shape, Complaint> {
    let count = requests(text)?;
    let Some(text) = text.strip_suffix(b"\n") else {
        return complain(0, Why::NoEnd);
    };
    let mut shape = Shape::default();
    let mut live = Live::default();
    for (i, bytes) in text.split(|b| *b == b'\n').enumerate().skip(1) {
        if i % 1024 == 0 {
            pause();
        }
        if i > count {
            return complain(i + 1, Why::More(count));
        }
        let Ok(text) = core::str::from_utf8(bytes) else {
            return complain(i + 1, Why::NotText);
        };
        let (cpu, line) = line(text).or_else(|why| complain(i + 1, why))?;
        let (slot, frees) = match line {
            Line::Alloc { pages, align } => {
                let slot = shape.allocations;
                let Some(room) = slots.get_mut(slot) else {
                    return complain(0, Why::Count);
                };
                *room = Slot {
                    pages,
                    align,
                    freed: false,
                };
                shape.allocations += 1;
                live.areas += 1;
                live.pages += u64::from(pages);
                (slot, false)
            }
            Line::Free(number) => {
                let slot = usize::try_from(number).unwrap_or(usize::MAX);
                let there = slots.get_mut(slot).filter(|_| slot < shape.allocations);
                let Some(room) = there else {
                    return complain(i + 1, Why::NoSuch(number));
                };
                if room.freed {
                    return complain(i + 1, Why::Freed(slot as u32));
                }
                room.freed = true;
                live.areas -= 1;
                live.pages -= u64::from(room.pages);
                (slot, true)
            }
        };
        let Some(room) = moves.get_mut(shape.requests) else {
            return complain(0, Why::Count);
        };
        *room = Move {
            cpu,
            frees,
            slot: slot as u32,
        };
        shape.requests += 1;
        shape.cpus = shape.cpus.max(cpu + 1);
        shape.most.areas = shape.most.areas.max(live.areas);
        shape.most.pages = shape.most.pages.max(live.pages);
        for (n, seen) in shape.live.iter_mut().enumerate() {
            if due(n, shape.requests, count) {
                *seen = live;
            }
        }
    }
    if shape.requests < count {
        return complain(0, Why::Cut(count, shape.requests));
    }
    Ok(shape)
}
