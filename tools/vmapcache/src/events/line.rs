// SPDX-License-Identifier: GPL-2.0

//! A line of tracefs: one event.

use crate::view::readable;

/// The tracepoints, in the order of Documentation/tracepoints.rst.
pub const NAMES: [&str; 6] = ["alloc", "free", "fail", "purge_begin", "purge_end", "flush"];

/// All fields that an event can have, in the order of the columns.
pub const FIELDS: [&str; 18] = [
    "addr",
    "size",
    "align",
    "kind",
    "gfp_flags",
    "caller",
    "deferred",
    "error",
    "reason",
    "waits",
    "how",
    "num_purged",
    "nr_purged",
    "flushes",
    "nr_lazy",
    "nr_lazy_max",
    "start",
    "end",
];

#[derive(Debug, PartialEq)]
pub struct Event<'a> {
    /// Seconds of the trace's clock, as tracefs prints them.
    pub time: &'a str,
    pub cpu: u64,
    pub task: &'a str,
    pub pid: u64,
    pub name: &'a str,
    pub fields: Vec<(&'a str, &'a str)>,
}

#[derive(Debug, PartialEq)]
pub enum Line<'a> {
    Event(Event<'a>),
    /// A reader was too slow: so many events are gone, if tracefs knows how many.
    Lost(Option<u64>),
    /// A comment of a saved trace.
    Nothing,
}

/// "CPU:0 [LOST 12 EVENTS]", or without the number.
fn lost(line: &str) -> Option<Line<'_>> {
    let (cpu, rest) = line.strip_prefix("CPU:")?.split_once(" [LOST ")?;
    cpu.parse::<u64>().ok()?;
    let number = rest.strip_suffix("EVENTS]")?.trim_end();
    match number {
        "" => Some(Line::Lost(None)),
        number => Some(Line::Lost(Some(number.parse().ok()?))),
    }
}

/// "KEY=VALUE ...": text in quotation marks, and the caller, which comes last, may have blanks.
fn fields(mut text: &str) -> Option<Vec<(&str, &str)>> {
    let mut all = Vec::new();
    while !text.is_empty() {
        let (key, rest) = text.split_once('=')?;
        FIELDS.contains(&key).then_some(())?;
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (value, rest) = quoted.split_once('"')?;
                (value, rest.strip_prefix(' ').unwrap_or(rest))
            }
            None if key == "caller" => (rest, ""),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        all.push((key, value));
        text = rest;
    }
    Some(all)
}

/// The name of a task takes 16 columns, and may have anything in it.
const TASK: usize = 16;

/// Process, CPU, time, name and fields of an event, as they are in its line.
fn parts(line: &str) -> Option<[&str; 5]> {
    let rest = line.get(TASK..)?.strip_prefix('-')?;
    let (pid, rest) = rest.split_once('[')?;
    let (cpu, rest) = rest.split_once("] ")?;
    let (before, rest) = rest.split_once(": ")?;
    let time = before.rsplit(' ').next()?;
    let (name, fields) = rest.split_once(": ")?;
    Some([pid, cpu, time, name, fields])
}

/// The name of the event in a line, if there seems to be one.
pub fn name(line: &str) -> Option<&str> {
    let [.., name, _] = parts(line)?;
    NAMES.contains(&name).then_some(name)
}

fn event(line: &str) -> Option<Event<'_>> {
    let task = line.get(..TASK)?.trim_start();
    let [pid, cpu, time, _, rest] = parts(line)?;
    time.parse::<f64>().ok()?;
    Some(Event {
        time,
        cpu: cpu.parse().ok()?,
        task,
        pid: pid.trim_end().parse().ok()?,
        name: name(line)?,
        fields: fields(rest.trim_end())?,
    })
}

/// # Errors
///
/// The line is none of an event of vmapcache.
pub fn read(line: &str) -> Result<Line<'_>, String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(Line::Nothing);
    }
    let found = lost(line).or_else(|| event(line).map(Line::Event));
    found.ok_or_else(|| format!("{line:?} is no event of vmapcache"))
}

/// The function with a name as its source has it, and what tracefs says behind it.
pub fn caller(text: &str) -> String {
    let at = text.find('+').unwrap_or(text.len());
    let (function, rest) = text.split_at(at);
    format!("{}{rest}", readable(function))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const FAIL: &str =
        "     kworker/0:1-42      [001] d..2.   123.456789: fail: size=65536 align=1 kind=vmalloc \
        gfp_flags=GFP_KERNEL|__GFP_NOFAIL error=-12 waits=1 nr_lazy=0 reason=\"no free extent\" \
        caller=keep+0x208/0x580 [vmapcache_test]";

    #[test]
    fn an_event_has_its_fields() {
        let Ok(Line::Event(event)) = read(FAIL) else {
            panic!("{:?}", read(FAIL));
        };
        assert_eq!((event.task, event.pid, event.cpu), ("kworker/0:1", 42, 1));
        assert_eq!((event.time, event.name), ("123.456789", "fail"));
        let of = |key| {
            event
                .fields
                .iter()
                .find(|(name, _)| *name == key)
                .unwrap()
                .1
        };
        assert_eq!(of("reason"), "no free extent");
        assert_eq!(of("caller"), "keep+0x208/0x580 [vmapcache_test]");
        assert_eq!(of("error"), "-12");
        assert_eq!(event.fields.len(), 9);
    }

    #[test]
    fn a_task_may_have_any_name() {
        for task in ["a-1 [000] x: y", "]: free: addr=1", "x"] {
            let line = format!(
                "{task:>16}-7       [000] .....     1.000001: flush: start=0x1000 end=0x2000"
            );
            let Ok(Line::Event(event)) = read(&line) else {
                panic!("{line}");
            };
            assert_eq!((event.task, event.pid, event.name), (task, 7, "flush"));
        }
    }

    #[test]
    fn losses_are_seen() {
        assert_eq!(read("CPU:3 [LOST 12 EVENTS]"), Ok(Line::Lost(Some(12))));
        assert_eq!(read("CPU:3 [LOST EVENTS]"), Ok(Line::Lost(None)));
        assert_eq!(read("# tracer: nop"), Ok(Line::Nothing));
    }

    #[test]
    fn what_is_no_event_is_said() {
        for wrong in [
            "CPU:x [LOST 1 EVENTS]",
            "short",
            "            task-7 [000] ..... 1.0: sched_switch: prev=1",
            "            task-7 [000] ..... 1.0: flush: strange=1",
            "            task-7 [000] ..... when: flush: start=0x1000 end=0x2000",
            "            täsk-7 [000]",
        ] {
            assert!(read(wrong).unwrap_err().contains("is no event"), "{wrong}");
        }
        for end in 1..FAIL.len() {
            // Nothing panics, wherever the line is cut.
            let _ = read(&FAIL[..end]);
        }
    }

    /// The kernel's own definition of the events.
    #[test]
    fn names_and_fields_are_those_of_the_header() {
        let header = include_str!("../../../../include/trace/events/vmapcache.h");
        let named = |before: &str| -> BTreeSet<&str> {
            let all = header.split(before).skip(1);
            all.filter_map(|rest| rest.split_once([',', ')']).map(|(name, _)| name))
                .collect()
        };
        assert_eq!(named("\nTRACE_EVENT("), BTreeSet::from(NAMES));
        let mut printed = BTreeSet::new();
        for text in header.split("TP_printk(\"").skip(1) {
            let (text, _) = text.split_once("\",").unwrap();
            printed.extend(
                text.split(' ')
                    .filter_map(|word| Some(word.split_once('=')?.0)),
            );
        }
        assert_eq!(printed, BTreeSet::from(FIELDS));
    }

    const TRACE: &str = include_str!("../../recorded/events");

    proptest! {
        /// Nothing panics, and an event has what its line has.
        #[test]
        fn any_line_is_an_event_or_refused(line in ".*") {
            if let Ok(Line::Event(event)) = read(&line) {
                prop_assert!(NAMES.contains(&event.name) && line.contains(event.time));
            }
        }

        #[test]
        fn a_changed_line_is_an_event_or_refused(n: prop::sample::Index, at: prop::sample::Index, with in "[ -~\\t\"=\\[\\]:ä]{0,3}") {
            let lines: Vec<&str> = TRACE.lines().collect();
            let mut line: Vec<char> = n.get(&lines).chars().collect();
            let at = at.index(line.len() + 1);
            line.splice(at..(at + 1).min(line.len()), with.chars());
            let line: String = line.into_iter().collect();
            if let Ok(Line::Event(event)) = read(&line) {
                prop_assert!(event.fields.iter().all(|(key, value)| FIELDS.contains(key) && line.contains(value)));
            }
        }
    }

    #[test]
    fn rust_callers_are_readable() {
        assert_eq!(caller("keep+0x208/0x580 [x]"), "keep+0x208/0x580 [x]");
        assert_eq!(caller("0x0"), "0x0");
        assert_eq!(caller("_RNvCs1_5crate4func+0x1/0x2"), "crate::func+0x1/0x2");
    }
}
