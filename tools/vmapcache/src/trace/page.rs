// SPDX-License-Identifier: GPL-2.0

//! A page of the kernel's trace buffer, as `trace_pipe_raw` hands it out.
//!
//! By include/linux/ring_buffer.h: a page begins with the time of its first event and the number of bytes
//! of events. An event begins with 32 bits, of which 5 say its type or its length in units of 4 bytes, and
//! 27 the time since the event before.

use std::ops::Range;

/// The bytes in front of the events.
const HEAD: usize = 16;
const LENGTH: u64 = (1 << 27) - 1;
/// In the number of bytes: events in front of the page are missing.
const MISSED: u64 = 1 << 31;
/// Likewise: their number follows the events.
const STORED: u64 = 1 << 30;

const PADDING: u32 = 29;
const TIME_EXTEND: u32 = 30;
const TIME_STAMP: u32 = 31;
/// An absolute time has no more bits.
const TIME_BITS: u32 = 59;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Where a reader is in a page.
#[derive(Default)]
pub struct Cursor {
    time: u64,
    at: usize,
    end: usize,
    /// Events in front of this page were lost; how many, if the kernel knows.
    pub lost: Option<Option<u64>>,
}

const FAULT: &str = "trace_pipe_raw: this is no page of a trace buffer";

impl Cursor {
    /// At the first event of this page.
    ///
    /// # Errors
    ///
    /// It is no such page.
    pub fn begin(page: &[u8]) -> Result<Cursor, String> {
        let begin = || {
            let (time, commit) = (long(page, 0)?, long(page, 8)?);
            let length = usize::try_from(commit & LENGTH).ok()?;
            let end = HEAD.checked_add(length)?;
            page.get(HEAD..end)?;
            let number = (commit & STORED != 0).then(|| long(page, end));
            Some(Cursor {
                time,
                at: HEAD,
                end,
                lost: (commit & MISSED != 0).then_some(number.flatten()),
            })
        };
        begin().ok_or_else(|| FAULT.into())
    }

    /// The time of the next event, and where it is in the page; `None` behind the last one.
    ///
    /// # Errors
    ///
    /// It is no such page.
    pub fn next(&mut self, page: &[u8]) -> Result<Option<(u64, Range<usize>)>, String> {
        self.walk(page).ok_or_else(|| FAULT.into())
    }

    fn walk(&mut self, page: &[u8]) -> Option<Option<(u64, Range<usize>)>> {
        let page = page.get(..self.end)?;
        while self.at < page.len() {
            let at = self.at;
            let head = word(page, at)?;
            let (kind, delta) = (head & 0x1f, u64::from(head >> 5));
            let next = word(page, at + 4);
            match kind {
                PADDING if delta == 0 => self.at = self.end,
                PADDING => {
                    // One that was discarded; 1 means none.
                    let delta = if delta == 1 { 0 } else { delta };
                    self.time = self.time.wrapping_add(delta);
                    self.at = at.checked_add(next? as usize)?.checked_add(4)?;
                }
                TIME_EXTEND => {
                    let delta = delta | (u64::from(next?) << 27);
                    self.time = self.time.wrapping_add(delta);
                    self.at += 8;
                }
                TIME_STAMP => {
                    let low = (delta | (u64::from(next?) << 27)) & ((1 << TIME_BITS) - 1);
                    let mut new = (self.time >> TIME_BITS << TIME_BITS) | low;
                    if new < self.time {
                        new = new.wrapping_add(1 << TIME_BITS);
                    }
                    self.time = new;
                    self.at += 8;
                }
                _ => {
                    self.time = self.time.wrapping_add(delta);
                    let (begin, end) = match kind {
                        // The length comes first, and counts itself.
                        0 => (at + 8, at.checked_add(next? as usize)?.checked_add(4)?),
                        kind => (at + 4, at + 4 + kind as usize * 4),
                    };
                    page.get(begin..end)?;
                    self.at = end;
                    return Some(Some((self.time, begin..end)));
                }
            }
        }
        Some(None)
    }
}

/// Calls `each` with the time and the bytes of every event.
///
/// # Errors
///
/// It is no such page. The events in front of the fault have been seen.
#[cfg(feature = "record")]
pub fn events(page: &[u8], mut each: impl FnMut(u64, &[u8])) -> Result<(), String> {
    let mut cursor = Cursor::begin(page)?;
    while let Some((time, event)) = cursor.next(page)? {
        each(time, page.get(event).unwrap_or_default());
    }
    Ok(())
}
