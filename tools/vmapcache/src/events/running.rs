// SPDX-License-Identifier: GPL-2.0

//! Events of the running kernel, as its trace buffers have them: printed as tracefs prints them, or as rows.

use super::{
    line::{FIELDS, NAMES},
    names::{Names, Source},
};
use crate::{
    output::plain_bytes,
    sheet::Cell,
    trace::{
        layout::{check_page, Field, Format},
        print::{self, Part, Value},
    },
};
use std::io::Write;

/// Columns in front of those of the fields: time, CPU, task, process, and event.
pub const BEFORE: usize = 5;

/// An event of the module.
pub struct Kind {
    pub name: &'static str,
    id: u64,
    /// As they are printed.
    pub parts: Vec<Part>,
    /// Which of the parts each of [`FIELDS`] is.
    by_field: [Option<usize>; FIELDS.len()],
}

/// What all events begin with.
struct Common {
    kind: Field,
    flags: Field,
    preempt_count: Field,
    pid: Field,
}

/// All events, as `format` files of tracefs say.
pub struct Kinds {
    common: Common,
    pub all: Vec<Kind>,
}

impl Kinds {
    /// `read` returns a file below `events/`.
    ///
    /// # Errors
    ///
    /// The kernel or the module is one that this program does not know.
    pub fn new(read: impl Fn(&str) -> Result<String, String>) -> Result<Kinds, String> {
        check_page(&read("header_page")?)?;
        let mut all = Vec::new();
        let mut common = None;
        for name in NAMES {
            let text = read(&format!("vmapcache/{name}/format"))?;
            let format = Format::new(name, &text);
            let parts = print::parts(&format)?;
            let mut by_field = [None; FIELDS.len()];
            for (n, part) in parts.iter().enumerate() {
                let at = FIELDS.iter().position(|field| *field == part.key);
                let slot = at.and_then(|at| by_field.get_mut(at));
                *slot.ok_or_else(|| {
                    format!("tracefs: {name} has a field {} that this program does not know: is it of another version?", part.key)
                })? = Some(n);
            }
            common = Some(Common {
                kind: format.number("common_type")?,
                flags: format.number("common_flags")?,
                preempt_count: format.number("common_preempt_count")?,
                pid: format.number("common_pid")?,
            });
            all.push(Kind {
                name,
                id: format.id()?,
                parts,
                by_field,
            });
        }
        let common = common.ok_or("tracefs: no events")?;
        Ok(Kinds { common, all })
    }

    /// `None` if it is no event of these.
    pub fn event<'a>(&'a self, time: u64, cpu: u16, bytes: &'a [u8]) -> Option<Running<'a>> {
        let id = self.common.kind.of(bytes)?;
        let number = |field: Field| Some(field.of(bytes)? as u32);
        Some(Running {
            time,
            cpu,
            pid: number(self.common.pid)? as i32,
            flags: number(self.common.flags)?,
            preempt_count: number(self.common.preempt_count)?,
            kind: self.all.iter().find(|kind| kind.id == id)?,
            bytes,
        })
    }
}

/// An event of the running kernel.
pub struct Running<'a> {
    /// Nanoseconds of the trace's clock.
    time: u64,
    cpu: u16,
    pid: i32,
    flags: u32,
    preempt_count: u32,
    pub kind: &'a Kind,
    bytes: &'a [u8],
}

impl Kind {
    /// The part that is in this column.
    pub fn part(&self, column: usize) -> Option<&Part> {
        let n = *self.by_field.get(column.checked_sub(BEFORE)?)?;
        self.parts.get(n?)
    }
}

/// Spaces in front of what follows `begin`, as far as it is shorter than this.
fn align(out: &mut Vec<u8>, begin: usize, width: usize) {
    let short = width.saturating_sub(out.len() - begin);
    out.splice(begin..begin, std::iter::repeat_n(b' ', short));
}

/// "X.YYYYYY" seconds.
fn seconds(time: u64, out: &mut Vec<u8>) {
    let microseconds = time.saturating_add(500) / 1000;
    print::decimal(microseconds / 1_000_000, out);
    out.push(b'.');
    let begin = out.len();
    print::decimal(1_000_000 + microseconds % 1_000_000, out);
    out.remove(begin);
}

/// How a digit of a depth is printed.
fn depth(number: u32) -> u8 {
    match number & 0xf {
        0 => b'.',
        number => char::from_digit(number, 16).map_or(b'?', |c| c as u8),
    }
}

/// Which interrupts were off, what was running, and whether somebody else should run: five letters, by
/// Documentation/trace/ftrace.rst.
fn context(flags: u32, preempt_count: u32) -> [u8; 5] {
    let is = |bit: u32| flags & bit != 0;
    let (off, lazy, resched, hard, soft, preempt, nmi, bottom) = (
        is(0x01),
        is(0x02),
        is(0x04),
        is(0x08),
        is(0x10),
        is(0x20),
        is(0x40),
        is(0x80),
    );
    [
        match (off, bottom) {
            (true, true) => b'D',
            (true, false) => b'd',
            (false, true) => b'b',
            (false, false) => b'.',
        },
        match (resched, lazy, preempt) {
            (true, true, true) => b'B',
            (true, false, true) => b'N',
            (false, true, true) => b'L',
            (true, true, false) => b'b',
            (true, false, false) => b'n',
            (false, false, true) => b'p',
            (false, true, false) => b'l',
            (false, false, false) => b'.',
        },
        match (nmi, hard, soft) {
            (true, true, _) => b'Z',
            (true, false, _) => b'z',
            (false, true, true) => b'H',
            (false, true, false) => b'h',
            (false, false, true) => b's',
            (false, false, false) => b'.',
        },
        depth(preempt_count),
        depth(preempt_count >> 4),
    ]
}

/// As JSON has a text.
fn json_text(text: &[u8], out: &mut Vec<u8>) {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if text.iter().all(plain) {
        out.push(b'"');
        out.extend(text);
        out.push(b'"');
        return;
    }
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, &super::ascii(text));
}

/// As CSV has a text.
fn csv_text(text: &[u8], out: &mut Vec<u8>) {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b',');
    if text.iter().all(plain) {
        out.extend(text);
        return;
    }
    // Writing to memory does not fail.
    let mut writer = csv::Writer::from_writer(out);
    let _ = writer.write_field(super::ascii(text).as_bytes());
    let _ = writer.flush();
}

/// A value in a row.
enum Shown {
    Number,
    Text,
    Nothing,
}

impl Running<'_> {
    /// A value as a row has it, in `out`. `None` if the event is too short.
    fn column<S: Source>(
        &self,
        column: usize,
        names: &mut Names<S>,
        out: &mut Vec<u8>,
    ) -> Option<Shown> {
        Some(match column {
            0 => {
                seconds(self.time, out);
                Shown::Text
            }
            1 => {
                print::decimal(self.cpu.into(), out);
                Shown::Number
            }
            2 => {
                out.extend(&*names.task(self.pid));
                match out.is_empty() {
                    true => Shown::Nothing,
                    false => Shown::Text,
                }
            }
            3 => {
                print::decimal(self.pid.unsigned_abs().into(), out);
                Shown::Number
            }
            4 => {
                out.extend(self.kind.name.as_bytes());
                Shown::Text
            }
            _ => match self.kind.part(column) {
                None => Shown::Nothing,
                Some(part) => match part.value(self.bytes, out)? {
                    Value::Number(number) => {
                        print::decimal(number, out);
                        Shown::Number
                    }
                    Value::Function(address) => {
                        out.extend(names.caller(address).readable.as_bytes());
                        Shown::Text
                    }
                    Value::Written if out.is_empty() => Shown::Nothing,
                    Value::Written => Shown::Text,
                },
            },
        })
    }

    /// The same, to be compared.
    pub fn cell<S: Source>(&self, column: usize, names: &mut Names<S>) -> Cell {
        let mut text = Vec::new();
        match self.column(column, names, &mut text) {
            None | Some(Shown::Nothing) => Cell::Nothing,
            Some(Shown::Text) => Cell::Text(super::ascii(&text).into_owned()),
            Some(Shown::Number) => {
                let digits = std::str::from_utf8(&text).ok();
                Cell::number(digits.and_then(|digits| digits.parse().ok()))
            }
        }
    }

    /// As tracefs prints it, with a question mark for each control character in the name of a task. `None` if the event
    /// is too short.
    pub fn raw<S: Source>(&self, names: &mut Names<S>, out: &mut Vec<u8>) -> Option<()> {
        let begin = out.len();
        let task = names.task(self.pid);
        out.extend(&*plain_bytes(&task));
        align(out, begin, 16);
        out.push(b'-');
        let begin = out.len();
        print::decimal(self.pid.unsigned_abs().into(), out);
        out.resize(out.len().max(begin + 7), b' ');
        out.extend(b" [");
        let begin = out.len();
        print::decimal(self.cpu.into(), out);
        let short = 3usize.saturating_sub(out.len() - begin);
        out.splice(begin..begin, std::iter::repeat_n(b'0', short));
        out.extend(b"] ");
        out.extend(context(self.flags, self.preempt_count));
        out.push(b' ');
        let begin = out.len();
        seconds(self.time, out);
        align(out, begin, 12);
        out.extend(b": ");
        out.extend(self.kind.name.as_bytes());
        out.extend(b": ");
        for (n, part) in self.kind.parts.iter().enumerate() {
            if n > 0 {
                out.push(b' ');
            }
            out.extend(part.key.as_bytes());
            out.push(b'=');
            if part.quoted {
                out.push(b'"');
            }
            match part.value(self.bytes, out)? {
                Value::Number(number) => print::decimal(number, out),
                Value::Function(address) => {
                    out.extend(names.caller(address).printed.as_bytes());
                }
                Value::Written => {}
            }
            if part.quoted {
                out.push(b'"');
            }
        }
        out.push(b'\n');
        Some(())
    }

    /// A line of CSV, with as many columns.
    pub fn csv<S: Source>(
        &self,
        columns: usize,
        names: &mut Names<S>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let mut text = Vec::new();
        for column in 0..columns {
            if column > 0 {
                out.push(b',');
            }
            text.clear();
            match self.column(column, names, &mut text)? {
                Shown::Nothing => {}
                Shown::Number => out.extend(&text),
                Shown::Text => csv_text(&text, out),
            }
        }
        out.push(b'\n');
        Some(())
    }

    /// A line of JSON, without what the event says nothing of.
    pub fn json<S: Source>(
        &self,
        columns: &[String],
        names: &mut Names<S>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let mut text = Vec::new();
        out.push(b'{');
        for (n, name) in columns.iter().enumerate() {
            text.clear();
            let shown = self.column(n, names, &mut text)?;
            if let Shown::Nothing = shown {
                continue;
            }
            if n > 0 {
                out.push(b',');
            }
            let _ = write!(out, "\"{name}\":");
            match shown {
                Shown::Number => out.extend(&text),
                _ => json_text(&text, out),
            }
        }
        out.extend(b"}\n");
        Some(())
    }
}
