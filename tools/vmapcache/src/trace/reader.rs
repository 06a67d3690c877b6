// SPDX-License-Identifier: GPL-2.0

//! Follows the trace buffers of all CPUs at once, in the order of time.

use super::page::Cursor;
use std::{
    fs::File,
    io::{ErrorKind, Read},
    ops::Range,
};

/// Larger than any page of a buffer. Only as much of it as a page has is ever used.
const MOST: usize = 1 << 16;

/// Reads a page, or what there is of it. `None` if the buffer is empty.
///
/// # Errors
///
/// Those of reading.
pub fn read(mut file: impl Read, page: &mut [u8]) -> Result<Option<&[u8]>, String> {
    match file.read(page) {
        Ok(0) => Ok(None),
        Ok(read) => Ok(page.get(..read)),
        Err(e) if e.kind() == ErrorKind::WouldBlock || e.kind() == ErrorKind::Interrupted => {
            Ok(None)
        }
        Err(e) => Err(format!("trace_pipe_raw: {e}")),
    }
}

/// What comes out of a reader.
pub enum Seen<'a> {
    /// The kernel had no room for events in front of the next one of this CPU; how many, if it knows.
    Lost(u16, Option<u64>),
    /// An event, with the time and the CPU.
    Event(u64, u16, &'a [u8]),
}

/// The buffer of one CPU.
struct Cpu<R> {
    number: u16,
    file: R,
    page: Vec<u8>,
    /// The bytes of `page` that were read.
    length: usize,
    cursor: Cursor,
    /// The next event, and its time.
    next: Option<(u64, Range<usize>)>,
    /// The time of the last event of the page.
    last: u64,
}

impl<R: Read> Cpu<R> {
    /// Finds the next event. There may be none, or none yet.
    fn advance(&mut self) -> Result<(), String> {
        loop {
            let page = self.page.get(..self.length).unwrap_or_default();
            self.next = match self.length {
                0 => None,
                _ => self.cursor.next(page)?,
            };
            if self.next.is_some() {
                return Ok(());
            }
            self.length = read(&mut self.file, &mut self.page)?.map_or(0, <[u8]>::len);
            if self.length == 0 {
                return Ok(());
            }
            let page = self.page.get(..self.length).unwrap_or_default();
            self.cursor = Cursor::begin(page)?;
            let mut ahead = Cursor::begin(page)?;
            while let Some((time, _)) = ahead.next(page)? {
                self.last = time;
            }
        }
    }

    fn time(&self) -> Option<u64> {
        self.next.as_ref().map(|(time, _)| *time)
    }
}

/// All buffers.
pub struct Reader<R>(Vec<Cpu<R>>);

impl<'a> Reader<&'a File> {
    /// Of these CPUs; `files` are their `trace_pipe_raw`, whose readers do not wait.
    pub fn new(cpus: &[u16], files: &'a [File]) -> Reader<&'a File> {
        Reader::of(cpus.iter().copied().zip(files))
    }
}

impl<R: Read> Reader<R> {
    pub fn of(cpus: impl Iterator<Item = (u16, R)>) -> Reader<R> {
        let cpu = |(number, file)| Cpu {
            number,
            file,
            page: vec![0; MOST],
            length: 0,
            cursor: Cursor::default(),
            next: None,
            last: 0,
        };
        Reader(cpus.map(cpu).collect())
    }

    /// Calls `each` with events up to the last one of a page of each CPU. Returns whether there was one.
    /// Those of several CPUs come in the order of time, unless one comes into its buffer after a younger event was read.
    ///
    /// # Errors
    ///
    /// Those of `each`, and of reading, which `wrong` makes of a text.
    pub fn round<E>(
        &mut self,
        wrong: impl Fn(String) -> E,
        mut each: impl FnMut(Seen) -> Result<(), E>,
    ) -> Result<bool, E> {
        // The second time, those that had nothing may have something that is older than what others had.
        for _ in 0..2 {
            for cpu in self.0.iter_mut().filter(|cpu| cpu.next.is_none()) {
                cpu.advance().map_err(&wrong)?;
            }
        }
        let some = self.0.iter().filter(|cpu| cpu.next.is_some());
        let Some(last) = some.map(|cpu| cpu.last).max() else {
            return Ok(false);
        };
        loop {
            let mut first: Option<(u64, usize)> = None;
            let mut second = last;
            for (n, cpu) in self.0.iter().enumerate() {
                let Some(time) = cpu.time() else {
                    continue;
                };
                match first {
                    Some((least, _)) if least <= time => second = second.min(time),
                    _ => {
                        second = first.map_or(second, |(least, _)| second.min(least));
                        first = Some((time, n));
                    }
                }
            }
            let Some(cpu) = first.and_then(|(_, n)| self.0.get_mut(n)) else {
                return Ok(true);
            };
            if cpu.time() > Some(last) {
                return Ok(true);
            }
            while let Some((time, event)) = cpu.next.take_if(|(time, _)| *time <= second) {
                if let Some(number) = cpu.cursor.lost.take() {
                    each(Seen::Lost(cpu.number, number))?;
                }
                let event = cpu.page.get(event).unwrap_or_default();
                each(Seen::Event(time, cpu.number, event))?;
                cpu.advance().map_err(&wrong)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::VecDeque, io};

    /// A buffer whose pages come when they are due.
    struct Buffer(VecDeque<Option<Vec<u8>>>);

    impl Read for Buffer {
        fn read(&mut self, page: &mut [u8]) -> io::Result<usize> {
            match self.0.pop_front() {
                Some(Some(bytes)) => {
                    page[..bytes.len()].copy_from_slice(&bytes);
                    Ok(bytes.len())
                }
                _ => Err(ErrorKind::WouldBlock.into()),
            }
        }
    }

    /// A page with these times, in whose front so many events were lost.
    fn page(times: &[u64], lost: Option<Option<u64>>) -> Option<Vec<u8>> {
        let mut data = Vec::new();
        for (n, time) in times.iter().enumerate() {
            let delta = time - times[n.saturating_sub(1)];
            data.extend((1 | ((delta as u32) << 5)).to_le_bytes());
            data.extend((*time as u32).to_le_bytes());
        }
        let flags = match lost {
            None => 0,
            Some(None) => 1 << 31,
            Some(Some(_)) => 3 << 30,
        };
        let mut page = Vec::from(times.first().copied().unwrap_or(0).to_le_bytes());
        page.extend((data.len() as u64 | flags).to_le_bytes());
        page.extend(data);
        page.extend(lost.flatten().unwrap_or(0).to_le_bytes());
        Some(page)
    }

    fn reader(buffers: Vec<Vec<Option<Vec<u8>>>>) -> Reader<Buffer> {
        let buffers = buffers.into_iter().map(|pages| Buffer(pages.into()));
        Reader::of((0..).zip(buffers))
    }

    fn round(reader: &mut Reader<Buffer>) -> (bool, Vec<String>) {
        let mut seen = Vec::new();
        let some = reader.round(
            |e| e,
            |what| {
                seen.push(match what {
                    Seen::Lost(cpu, number) => format!("{cpu} lost {number:?}"),
                    Seen::Event(time, cpu, event) => {
                        assert_eq!(event, (time as u32).to_le_bytes());
                        format!("{cpu} {time}")
                    }
                });
                Ok::<_, String>(())
            },
        );
        (some.unwrap(), seen)
    }

    #[test]
    fn events_of_all_cpus_come_in_the_order_of_time() {
        let mut reader = reader(vec![
            vec![page(&[1, 4, 5], None), page(&[6, 20], None)],
            vec![page(&[2], None), None, None, page(&[8, 9], None)],
            vec![None, page(&[3, 7], None)],
        ]);
        let (some, first) = round(&mut reader);
        assert!(some);
        // Nobody knew of more than that when the round began.
        assert_eq!(first, ["0 1", "1 2", "2 3", "0 4", "0 5", "0 6", "2 7"]);
        let mut all = Vec::new();
        loop {
            let (some, seen) = round(&mut reader);
            all.extend(seen);
            if !some && all.len() >= 3 {
                break;
            }
        }
        assert_eq!(all, ["1 8", "1 9", "0 20"]);
    }

    #[test]
    fn losses_come_in_front_of_the_event_behind_them() {
        let mut reader = reader(vec![
            vec![page(&[1], None), page(&[5], Some(Some(7)))],
            vec![page(&[3], Some(None)), page(&[], None)],
        ]);
        let mut all = Vec::new();
        for _ in 0..4 {
            all.extend(round(&mut reader).1);
        }
        assert_eq!(all, ["0 1", "1 lost None", "1 3", "0 lost Some(7)", "0 5"]);
    }

    #[test]
    fn a_page_that_is_none_is_said() {
        let mut reader = reader(vec![vec![Some(vec![0; 9])]]);
        let said = reader.round(|e| e, |_| Ok(()));
        assert_eq!(
            said,
            Err("trace_pipe_raw: this is no page of a trace buffer".into())
        );
    }
}
