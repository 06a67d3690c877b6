// SPDX-License-Identifier: GPL-2.0

//! A page of the kernel's trace buffer, as `trace_pipe_raw` hands it out.
//!
//! By include/linux/ring_buffer.h: a page begins with the time of its first event and the number of bytes
//! of events. An event begins with 32 bits, of which 5 say its type or its length in units of 4 bytes, and
//! 27 the time since the event before.

/// The bytes in front of the events.
const HEAD: usize = 16;
/// The upper bits of the number of bytes say that events are missing, and perhaps how many.
const LENGTH: u64 = (1 << 27) - 1;

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

/// Calls `each` with the time and the bytes of every event.
///
/// # Errors
///
/// It is no such page. The events in front of the fault have been seen.
pub fn events(page: &[u8], mut each: impl FnMut(u64, &[u8])) -> Result<(), String> {
    let mut walk = || {
        let mut time = long(page, 0)?;
        let length = usize::try_from(long(page, 8)? & LENGTH).ok()?;
        let data = page.get(HEAD..HEAD.checked_add(length)?)?;
        let mut at = 0;
        while at < data.len() {
            let head = word(data, at)?;
            let (kind, delta) = (head & 0x1f, u64::from(head >> 5));
            let next = word(data, at + 4);
            match kind {
                PADDING if delta == 0 => return Some(()),
                PADDING => {
                    // One that was discarded; 1 means none.
                    time = time.wrapping_add(if delta == 1 { 0 } else { delta });
                    at = at.checked_add(next? as usize)?.checked_add(4)?;
                }
                TIME_EXTEND => {
                    time = time.wrapping_add(delta | (u64::from(next?) << 27));
                    at += 8;
                }
                TIME_STAMP => {
                    let low = (delta | (u64::from(next?) << 27)) & ((1 << TIME_BITS) - 1);
                    let mut new = (time >> TIME_BITS << TIME_BITS) | low;
                    if new < time {
                        new = new.wrapping_add(1 << TIME_BITS);
                    }
                    time = new;
                    at += 8;
                }
                _ => {
                    time = time.wrapping_add(delta);
                    let (begin, end) = match kind {
                        // The length comes first, and counts itself.
                        0 => (at + 8, at.checked_add(next? as usize)?.checked_add(4)?),
                        kind => (at + 4, at + 4 + kind as usize * 4),
                    };
                    each(time, data.get(begin..end)?);
                    at = end;
                }
            }
        }
        Some(())
    };
    walk().ok_or_else(|| "trace_pipe_raw: this is no page of a trace buffer".into())
}
