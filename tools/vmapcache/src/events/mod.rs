// SPDX-License-Identifier: GPL-2.0

//! `events`: follows the tracepoints.

mod line;

use crate::{
    instance::{Instance, System},
    sheet::{Cell, Filter, Row, Sheet},
    signals,
    wait::{self, Waited},
    Output,
};
use line::{Event, Line, FIELDS, NAMES};
use std::{
    borrow::Cow,
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufWriter, ErrorKind, Read, Write},
    os::fd::AsFd,
    path::PathBuf,
    time::{Duration, Instant},
};

#[derive(clap::Args)]
pub struct Options {
    /// Only these: alloc, free, fail, purge_begin, purge_end, flush
    #[arg(value_name = "EVENT", value_parser = name)]
    events: Vec<String>,
    /// As tracefs prints them, or for other programs: a line of JSON for each event
    #[arg(short = 'O', long, value_enum, default_value_t)]
    output: Output,
    /// Only events for which this holds: COLUMN, one of = != < <= > >= ~ !~, VALUE (4K, 2M; ~: contains)
    #[arg(long, value_name = "CONDITION")]
    filter: Vec<String>,
    /// Ends after so many events
    #[arg(short = 'n', long, value_name = "TIMES")]
    count: Option<u64>,
    /// Ends after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// For each CPU, for events that nobody has read yet
    #[arg(long, value_name = "KIB", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(4..=1 << 20))]
    buffer_kb: u32,
    /// A saved trace instead of the running kernel's ("-": standard input)
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

fn name(text: &str) -> Result<String, String> {
    match NAMES.contains(&text) {
        true => Ok(text.into()),
        false => Err(format!("no such event; there are {}", NAMES.join(", "))),
    }
}

/// Callers as tracefs prints them, and as a row has them. There are few, and many events of each.
#[derive(Default)]
struct Callers(HashMap<String, String>);

impl Callers {
    fn of(&mut self, text: &str) -> String {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let caller = line::caller(text);
        self.0.insert(text.into(), caller.clone());
        caller
    }
}

fn row(event: &Event, callers: &mut Callers) -> Row {
    let first = [
        Cell::text(Some(event.time)),
        Cell::Number(event.cpu),
        Cell::text(Some(event.task)),
        Cell::Number(event.pid),
        Cell::text(Some(event.name)),
    ];
    let before = first.len();
    let mut cells = Vec::from(first);
    cells.resize_with(before + FIELDS.len(), || Cell::Nothing);
    for (key, value) in &event.fields {
        let at = FIELDS.iter().position(|name| name == key);
        if let Some(cell) = at.and_then(|at| cells.get_mut(before + at)) {
            *cell = match value.parse() {
                _ if *key == "caller" => Cell::Text(callers.of(value)),
                Ok(number) => Cell::Number(number),
                // Addresses, words, and negative error numbers.
                Err(_) => Cell::text(Some(value)),
            };
        }
    }
    Row {
        cells,
        raw: String::new(),
    }
}

fn sheet() -> Sheet {
    let mut sheet = Sheet::new(["time", "cpu", "task", "pid", "event"]);
    sheet.columns.extend(FIELDS.map(String::from));
    sheet
}

/// Why it goes no further.
enum End {
    Output(io::Error),
    Wrong(String),
    Enough,
}

/// A line as text. A task's name may have any bytes, and takes as many columns as it has bytes.
fn ascii(bytes: &[u8]) -> Cow<'_, str> {
    let text = std::str::from_utf8(bytes).ok();
    match text.filter(|text| text.is_ascii()) {
        Some(text) => text.into(),
        None => {
            let ascii = |byte: &u8| {
                if byte.is_ascii() {
                    char::from(*byte)
                } else {
                    '?'
                }
            };
            bytes.iter().map(ascii).collect::<String>().into()
        }
    }
}

/// Shows lines of a trace.
struct Shown<'a> {
    options: &'a Options,
    sheet: Sheet,
    filter: Filter,
    seen: u64,
    /// As the lines say; nothing knows how many a line without number means.
    lost: u64,
    line: usize,
    /// Lines that are no events.
    strange: u64,
    callers: Callers,
}

impl<'a> Shown<'a> {
    fn new(options: &'a Options) -> Result<Shown<'a>, String> {
        if options.output == Output::Openmetrics {
            return Err("events are no metrics: -O raw, csv or json".into());
        }
        let sheet = sheet();
        let filter = sheet.conditions(&options.filter)?;
        Ok(Shown {
            options,
            sheet,
            filter,
            seen: 0,
            lost: 0,
            line: 0,
            strange: 0,
            callers: Callers::default(),
        })
    }

    fn head(&self, out: &mut dyn Write) -> Result<(), End> {
        match self.options.output {
            Output::Csv => self.sheet.csv_head(out).map_err(End::Output),
            _ => Ok(()),
        }
    }

    /// A line, without its end.
    fn line(&mut self, bytes: &[u8], out: &mut dyn Write) -> Result<(), End> {
        self.line += 1;
        let text = ascii(bytes);
        let raw = |out: &mut dyn Write| {
            let line = out.write_all(bytes).and_then(|()| out.write_all(b"\n"));
            line.map_err(End::Output)
        };
        // Most lines of a running trace go through as they are. Lines of a file may be anything.
        let as_it_is = self.options.output == Output::Raw && self.filter.takes_all();
        if as_it_is && self.options.from.is_none() {
            if let Some(name) = line::name(&text) {
                return match self.wanted(name) {
                    true => raw(out).and_then(|()| self.counted()),
                    false => Ok(()),
                };
            }
        }
        let parsed = match line::read(&text) {
            Ok(parsed) => parsed,
            Err(e) if self.options.from.is_some() => {
                return Err(End::Wrong(format!("line {}: {e}", self.line)));
            }
            Err(_) => {
                // A task's name may have the end of a line, too.
                self.strange += 1;
                return match self.options.output {
                    Output::Raw => raw(out),
                    _ => Ok(()),
                };
            }
        };
        let event = match parsed {
            Line::Nothing => return Ok(()),
            Line::Lost(number) => {
                self.lost += number.unwrap_or(1);
                return match self.options.output {
                    Output::Raw => raw(out),
                    _ => Ok(()),
                };
            }
            Line::Event(event) => event,
        };
        if !self.wanted(event.name) {
            return Ok(());
        }
        let row = row(&event, &mut self.callers);
        if !self.filter.holds(&row) {
            return Ok(());
        }
        match self.options.output {
            Output::Csv => self.sheet.csv_row(&row, out).map_err(End::Output)?,
            Output::Json => self.sheet.json_row(&row, out).map_err(End::Output)?,
            Output::Raw | Output::Openmetrics => raw(out)?,
        }
        self.counted()
    }

    fn wanted(&self, event: &str) -> bool {
        let wanted = &self.options.events;
        wanted.is_empty() || wanted.iter().any(|name| name == event)
    }

    fn counted(&mut self) -> Result<(), End> {
        self.seen += 1;
        match self.options.count {
            Some(most) if self.seen >= most => Err(End::Enough),
            _ => Ok(()),
        }
    }
}

/// Whole lines of what has been read; the rest waits for more.
struct Lines(Vec<u8>);

impl Lines {
    fn add(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), End>,
    ) -> Result<(), End> {
        self.0.extend(bytes);
        let Some(end) = self.0.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let rest = self.0.split_off(end + 1);
        let whole = std::mem::replace(&mut self.0, rest);
        whole[..end]
            .split(|byte| *byte == b'\n')
            .try_for_each(&mut each)
    }
}

/// Follows the events until something ends it.
fn follow(instance: &Instance, shown: &mut Shown, out: &mut dyn Write) -> Result<(), End> {
    let began = Instant::now();
    let Some(mut pipe) = instance.files.first() else {
        return Err(End::Wrong("trace_pipe is not open".into()));
    };
    let mut lines = Lines(Vec::new());
    let mut buffer = vec![0; 64 << 10];
    let mut stopping = false;
    shown.head(out)?;
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => {}
            Ok(read) => {
                lines.add(&buffer[..read], |line| shown.line(line, out))?;
                if !stopping && ended(shown.options, began) {
                    // What happened until now is still to be read.
                    instance.stop();
                    stopping = true;
                }
                continue;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock || e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(End::Wrong(format!("trace_pipe: {e}"))),
        }
        // All that there was is shown.
        out.flush().map_err(End::Output)?;
        if stopping {
            return Ok(());
        }
        if !instance.alive() {
            return Err(End::Wrong("vmapcache.ko has been unloaded".into()));
        }
        let most = Duration::from_millis(500);
        let left = shown
            .options
            .seconds
            .map(|s| Duration::from_secs(s).saturating_sub(began.elapsed()));
        let most = left.map_or(most, |left| left.min(most));
        match wait::until(pipe, most).map_err(|e| End::Wrong(format!("trace_pipe: {e}")))? {
            Waited::Look => {}
            Waited::Alone => return Err(End::Output(ErrorKind::BrokenPipe.into())),
        }
        if ended(shown.options, began) {
            instance.stop();
            stopping = true;
        }
    }
}

fn ended(options: &Options, began: Instant) -> bool {
    let late = options
        .seconds
        .is_some_and(|s| began.elapsed() >= Duration::from_secs(s));
    late || signals::caught().is_some()
}

/// A reader that goes is no error.
fn outcome(end: Result<(), End>) -> Result<(), String> {
    match end {
        Ok(()) | Err(End::Enough) => Ok(()),
        Err(End::Output(e)) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(End::Output(e)) => Err(format!("output: {e}")),
        Err(End::Wrong(why)) => Err(why),
    }
}

fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn saved(mut input: impl BufRead, shown: &mut Shown, out: &mut dyn Write) -> Result<(), End> {
    shown.head(out)?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.read_until(b'\n', &mut line);
        if read.map_err(|e| End::Wrong(e.to_string()))? == 0 {
            return out.flush().map_err(End::Output);
        }
        let bare = line.strip_suffix(b"\n").unwrap_or(&line);
        shown.line(bare, out)?;
    }
}

pub fn show(options: &Options) -> Result<bool, String> {
    let mut shown = Shown::new(options)?;
    // Dropped after `out`, which writes once more what a reader that went did not take.
    let _signals = options.from.is_none().then(signals::PutOff::begin);
    let stdout = io::stdout().as_fd().try_clone_to_owned();
    let stdout = File::from(stdout.map_err(|e| format!("output: {e}"))?);
    let mut out = BufWriter::with_capacity(64 << 10, wait::Patient(stdout));
    if let Some(path) = &options.from {
        let name = path.display().to_string();
        let input: Box<dyn BufRead> = match name.as_str() {
            "-" => Box::new(io::stdin().lock()),
            _ => Box::new(io::BufReader::new(
                File::open(path).map_err(|e| format!("{name}: {e}"))?,
            )),
        };
        let end = saved(input, &mut shown, &mut out);
        let flushed = out.flush().map_err(End::Output);
        outcome(end.and(flushed)).map_err(|e| format!("{name}: {e}"))?;
        if shown.lost > 0 {
            eprintln!("vmapcache: {} lost", count(shown.lost, "event"));
        }
        return Ok(true);
    }
    let all: Vec<String> = NAMES.map(String::from).into();
    let events = if options.events.is_empty() {
        &all
    } else {
        &options.events
    };
    let mut instance = Instance::new(System::Vmapcache, options.buffer_kb)?;
    instance.open("trace_pipe")?;
    for event in events {
        instance.enable(event)?;
    }
    let end = follow(&instance, &mut shown, &mut out);
    let flushed = out.flush().map_err(End::Output);
    instance.stop();
    let lost = instance.lost();
    // Before the last word: who waits for it may look.
    drop(instance);
    eprintln!(
        "vmapcache: {} shown, {lost} lost",
        count(shown.seen, "event")
    );
    outcome(end.and(flushed))?;
    match signals::caught() {
        // The usual way to end it.
        None | Some(signals::INTERRUPT) => Ok(true),
        Some(_) => Err("ended by a signal".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const TRACE: &str = include_str!("../../recorded/events");

    fn shown(
        text: &str,
        output: Output,
        filter: &[&str],
        events: &[&str],
        most: Option<u64>,
    ) -> (String, Result<(), String>, u64) {
        let options = Options {
            events: events.iter().map(|e| e.to_string()).collect(),
            output,
            filter: filter.iter().map(|c| c.to_string()).collect(),
            count: most,
            seconds: None,
            buffer_kb: 64,
            from: Some("file".into()),
        };
        let mut out = Vec::new();
        let mut shown = Shown::new(&options).unwrap();
        let end = saved(text.as_bytes(), &mut shown, &mut out);
        (String::from_utf8(out).unwrap(), outcome(end), shown.lost)
    }

    #[test]
    fn raw_is_what_tracefs_prints() {
        let (text, end, lost) = shown(TRACE, Output::Raw, &[], &[], None);
        let events: Vec<&str> = TRACE
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert_eq!(
            (text.lines().collect::<Vec<_>>(), end, lost),
            (events, Ok(()), 7)
        );
    }

    #[test]
    fn json_has_a_line_for_each_event_with_its_own_fields() {
        let (text, ..) = shown(TRACE, Output::Json, &[], &[], None);
        let all: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let events = TRACE
            .lines()
            .filter(|line| line.contains(": ") && !line.starts_with('#'));
        assert_eq!(all.len(), events.count());
        let first = |name: &str| all.iter().find(|event| event["event"] == name).unwrap();
        for name in NAMES {
            let event = first(name).as_object().unwrap();
            assert!(
                event["pid"].is_u64() && event["time"].is_string(),
                "{event:?}"
            );
            assert!(event.values().all(|value| !value.is_null()), "{event:?}");
        }
        assert!(first("alloc")["size"].is_u64() && first("alloc")["addr"].is_string());
        assert_eq!(first("fail")["error"], "-12");
        assert!(first("flush").get("size").is_none());
    }

    /// What a running trace shows: its lines go through as they are, or by way of rows.
    #[test]
    fn a_running_trace_shows_what_a_saved_one_does() {
        for events in [&[][..], &["alloc", "flush"]] {
            for filter in [&[][..], &["cpu>=0"]] {
                let mut options = Options {
                    events: events.iter().map(|e| e.to_string()).collect(),
                    output: Output::Raw,
                    filter: filter.iter().map(|c| c.to_string()).collect(),
                    count: None,
                    seconds: None,
                    buffer_kb: 64,
                    from: None,
                };
                let mut said = Vec::new();
                for from in [None, Some("file".into())] {
                    options.from = from;
                    let mut out = Vec::new();
                    let mut shown = Shown::new(&options).unwrap();
                    assert!(saved(TRACE.as_bytes(), &mut shown, &mut out).is_ok());
                    said.push((shown.seen, shown.lost, shown.strange, out));
                }
                assert_eq!(said[0], said[1], "{events:?} {filter:?}");
                assert!(said[0].0 > 0);
            }
        }
    }

    #[test]
    fn csv_has_a_field_for_each_column() {
        let (text, ..) = shown(TRACE, Output::Csv, &[], &[], None);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap().len(), 5 + FIELDS.len());
        let rows = reader.records().collect::<Result<Vec<_>, _>>().unwrap();
        assert!(rows
            .iter()
            .any(|row| &row[4] == "fail" && row.iter().any(|f| f == "no free extent")));
    }

    #[test]
    fn events_are_chosen_filtered_and_counted() {
        let lines = |filter: &[&str], events: &[&str], most| {
            let (text, end, _) = shown(TRACE, Output::Json, filter, events, most);
            assert_eq!(end, Ok(()));
            text.lines().count()
        };
        let of = |name: &str| TRACE.matches(&format!(": {name}: ")).count();
        assert_eq!(
            lines(&[], &["alloc", "flush"], None),
            of("alloc") + of("flush")
        );
        assert_eq!(lines(&["event=free"], &[], None), of("free"));
        assert_eq!(lines(&["size>=64K", "event=fail"], &[], None), of("fail"));
        assert_eq!(lines(&["caller~nobody"], &[], None), 0);
        assert_eq!(lines(&[], &[], Some(2)), 2);
        let options = |filter: &str| {
            Shown::new(&Options {
                events: vec![],
                output: Output::Raw,
                filter: vec![filter.into()],
                count: None,
                seconds: None,
                buffer_kb: 64,
                from: None,
            })
            .err()
        };
        assert!(options("nothing=1")
            .unwrap()
            .contains("there are time, cpu, task, pid, event, addr"));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let (_, end, _) = shown("# head\njunk\n", Output::Json, &[], &[], None);
        assert_eq!(
            end.unwrap_err(),
            "line 2: \"junk\" is no event of vmapcache"
        );
    }

    #[test]
    fn a_running_trace_goes_on_after_an_odd_name() {
        let options = |output| Options {
            events: vec![],
            output,
            filter: vec![],
            count: None,
            seconds: None,
            buffer_kb: 64,
            from: None,
        };
        let odd = b"    \xc3\xa4\xff [0] a: b-7       [000] .....     1.000001: flush: start=0x1000 end=0x2000";
        for (output, wanted) in [
            (Output::Raw, &odd[..]),
            (Output::Json, b"\"start\":\"0x1000\""),
        ] {
            let options = options(output);
            let mut shown = Shown::new(&options).unwrap();
            let mut out = Vec::new();
            for line in [&b"     two"[..], &odd[..], b"lines-1"] {
                assert!(shown.line(line, &mut out).is_ok());
            }
            assert_eq!((shown.seen, shown.strange), (1, 2));
            assert!(out.windows(wanted.len()).any(|part| part == wanted));
        }
    }

    #[test]
    fn lines_come_in_pieces() {
        let mut lines = Lines(Vec::new());
        let mut seen = Vec::new();
        for piece in ["a", "b\nc", "\n\nd"] {
            let each = |line: &[u8]| {
                seen.push(String::from_utf8(line.into()).unwrap());
                Ok(())
            };
            assert!(lines.add(piece.as_bytes(), each).is_ok());
        }
        assert_eq!(
            (seen, lines.0),
            (vec!["ab".into(), "c".into(), String::new()], b"d".to_vec())
        );
    }
}
