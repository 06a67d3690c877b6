// SPDX-License-Identifier: GPL-2.0

//! `events`: follows the tracepoints.

mod asked;
mod line;
mod names;
mod running;

use crate::{
    instance::{Instance, System},
    output::plain_bytes,
    sheet::{Cell, Filter, Row, Sheet},
    signals,
    trace::reader::{Reader, Seen},
    wait::{self, Waited},
    Output,
};
use asked::Asked;
use line::{Event, Line, FIELDS, NAMES};
use names::{Names, Source};
use running::Kinds;
use std::{
    borrow::Cow,
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufWriter, ErrorKind, Write},
    os::fd::AsFd,
    path::PathBuf,
    thread,
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
    #[arg(long, value_name = "KIB", default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(4..=1 << 20))]
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

/// Shows events.
struct Shown<'a> {
    options: &'a Options,
    sheet: Sheet,
    filter: Filter,
    seen: u64,
    /// As the lines say; nothing knows how many a line without number means.
    lost: u64,
    line: usize,
    /// Of the running kernel: what is no event of the module.
    strange: u64,
    callers: Callers,
    /// What is printed of an event, before it is.
    text: Vec<u8>,
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
            text: Vec::new(),
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
            let line = out
                .write_all(&plain_bytes(bytes))
                .and_then(|()| out.write_all(b"\n"));
            line.map_err(End::Output)
        };
        let parsed = line::read(&text);
        let parsed = parsed.map_err(|e| End::Wrong(format!("line {}: {e}", self.line)))?;
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

    /// What a reader of the running kernel's buffers has found.
    fn seen<S: Source>(
        &mut self,
        seen: Seen,
        kinds: &Kinds,
        names: &mut Names<S>,
        out: &mut dyn Write,
    ) -> Result<(), End> {
        let (time, cpu, bytes) = match seen {
            Seen::Event(time, cpu, bytes) => (time, cpu, bytes),
            Seen::Lost(cpu, number) => {
                self.lost += number.unwrap_or(1);
                let number = number.map(|n| format!("{n} ")).unwrap_or_default();
                return match self.options.output {
                    Output::Raw => {
                        writeln!(out, "CPU:{cpu} [LOST {number}EVENTS]").map_err(End::Output)
                    }
                    _ => Ok(()),
                };
            }
        };
        let Some(event) = kinds.event(time, cpu, bytes) else {
            self.strange += 1;
            return Ok(());
        };
        if !self.wanted(event.kind.name)
            || !self.filter.holds_for(|column| event.cell(column, names))
        {
            return Ok(());
        }
        let columns = &self.sheet.columns;
        self.text.clear();
        let whole = match self.options.output {
            Output::Csv => event.csv(columns.len(), names, &mut self.text),
            Output::Json => event.json(columns, names, &mut self.text),
            Output::Raw | Output::Openmetrics => event.raw(names, &mut self.text),
        };
        if whole.is_none() {
            self.strange += 1;
            return Ok(());
        }
        out.write_all(&self.text).map_err(End::Output)?;
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

/// Events are gathered for so long: to read a page of the buffer costs more than to read an event of it.
const PAUSE: Duration = Duration::from_millis(10);

/// Follows the events until something ends it.
fn follow<S: Source>(
    instance: &Instance,
    cpus: &[u16],
    kinds: &Kinds,
    names: &mut Names<S>,
    shown: &mut Shown,
    out: &mut dyn Write,
) -> Result<(), End> {
    let began = Instant::now();
    let mut reader = Reader::new(cpus, &instance.files);
    let mut stopping = false;
    shown.head(out)?;
    loop {
        let some = reader.round(End::Wrong, |seen| shown.seen(seen, kinds, names, out))?;
        if !stopping && ended(shown.options, began) {
            // What happened until now is still to be read.
            instance.stop();
            stopping = true;
            continue;
        }
        if some {
            names.refresh();
            continue;
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
        let waited = wait::until(&instance.files, most);
        match waited.map_err(|e| End::Wrong(format!("trace_pipe_raw: {e}")))? {
            Waited::Look => thread::sleep(PAUSE),
            Waited::Alone => return Err(End::Output(ErrorKind::BrokenPipe.into())),
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
    let mut instance = Instance::new(System::Vmapcache, options.buffer_kb)?;
    let kinds = Kinds::new(|name| instance.read(&format!("events/{name}")))?;
    let mut names = Names::new(names::Kernel {
        saved_cmdlines: instance.of_all("saved_cmdlines"),
    });
    if !names.has_symbols() {
        eprintln!("vmapcache: /proc/kallsyms has no addresses: callers stay numbers");
    }
    let cpus = instance.cpus()?;
    for cpu in &cpus {
        instance.open(&format!("per_cpu/cpu{cpu}/trace_pipe_raw"))?;
    }
    instance.wake_at_once();
    // All begin at once.
    instance.stop();
    for kind in &kinds.all {
        if !shown.wanted(kind.name) {
            continue;
        }
        match asked::of(kind, &shown.filter) {
            Asked::Nothing => continue,
            Asked::All => {}
            // A kernel that does not take it hands out more events, and their conditions are looked at anyway.
            Asked::Those(which) => {
                let _ = instance.set(&instance.event(kind.name, "filter"), &which);
            }
        }
        instance.enable(kind.name)?;
    }
    wait::hurry();
    instance.set("tracing_on", "1")?;
    let end = follow(&instance, &cpus, &kinds, &mut names, &mut shown, &mut out);
    let flushed = out.flush().map_err(End::Output);
    instance.stop();
    let lost = instance.lost();
    // Before the last word: who waits for it may look.
    drop(instance);
    eprintln!(
        "vmapcache: {} shown, {lost} lost",
        count(shown.seen, "event")
    );
    if shown.strange > 0 {
        eprintln!(
            "vmapcache: {} made no sense",
            count(shown.strange, "more event")
        );
    }
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
            from: Some("file".into()),
            ..options(output, filter, events, most)
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

    /// What a kernel has printed of its buffers, and what it said beside them.
    mod recorded {
        use super::*;
        use crate::trace::reader::Reader;

        pub const TRACE: &str = include_str!("../../recorded/events-raw/trace");
        const PAGES: [&[u8]; 2] = [
            include_bytes!("../../recorded/events-raw/cpu0"),
            include_bytes!("../../recorded/events-raw/cpu1"),
        ];

        /// The pages of a CPU, one after the other.
        struct Pages(&'static [u8]);

        impl io::Read for Pages {
            fn read(&mut self, page: &mut [u8]) -> io::Result<usize> {
                self.0.read(&mut page[..4096])
            }
        }

        pub struct Kernel;

        impl Source for Kernel {
            fn tasks(&self) -> Vec<u8> {
                include_bytes!("../../recorded/events-raw/saved_cmdlines").into()
            }
            fn alive(&self, _pid: i32) -> Option<Vec<u8>> {
                None
            }
            fn modules(&self) -> String {
                String::new()
            }
            fn symbols(&self) -> String {
                include_str!("../../recorded/events-raw/kallsyms").into()
            }
            fn page_bytes(&self) -> u64 {
                4096
            }
        }

        pub fn kinds() -> Kinds {
            Kinds::new(|name| {
                Ok(String::from(match name {
                    "header_page" => include_str!("../../recorded/events-raw/header_page"),
                    "vmapcache/alloc/format" => include_str!("../../recorded/events-raw/alloc"),
                    "vmapcache/free/format" => include_str!("../../recorded/events-raw/free"),
                    "vmapcache/fail/format" => include_str!("../../recorded/events-raw/fail"),
                    "vmapcache/flush/format" => include_str!("../../recorded/events-raw/flush"),
                    "vmapcache/purge_begin/format" => {
                        include_str!("../../recorded/events-raw/purge_begin")
                    }
                    "vmapcache/purge_end/format" => {
                        include_str!("../../recorded/events-raw/purge_end")
                    }
                    _ => return Err(format!("{name} is not recorded")),
                }))
            })
            .unwrap()
        }

        /// What is shown of the buffers, and whether that was the end.
        pub fn shown(options: &Options) -> (Vec<u8>, Result<(), End>, u64) {
            let kinds = kinds();
            let mut names = Names::new(Kernel);
            let mut shown = Shown::new(options).unwrap();
            let mut out = Vec::new();
            let mut reader = Reader::of((0..).zip(PAGES.map(Pages)));
            let mut end = shown.head(&mut out);
            while end.is_ok() {
                let each = |seen: Seen| shown.seen(seen, &kinds, &mut names, &mut out);
                match reader.round(End::Wrong, each) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(e) => end = Err(e),
                }
            }
            (out, end, shown.strange)
        }
    }

    fn options(output: Output, filter: &[&str], events: &[&str], most: Option<u64>) -> Options {
        Options {
            events: events.iter().map(|e| e.to_string()).collect(),
            output,
            filter: filter.iter().map(|c| c.to_string()).collect(),
            count: most,
            seconds: None,
            buffer_kb: 64,
            from: None,
        }
    }

    /// All that a kernel printed, and all that is made of it.
    #[test]
    fn the_buffers_show_what_the_kernel_prints() {
        let as_saved = |output, filter: &[&str], events: &[&str], most| {
            shown(recorded::TRACE, output, filter, events, most).0
        };
        for events in [&[][..], &["alloc", "flush"]] {
            for filter in [
                &[][..],
                &["size>8K"],
                &["reason!=no arena"],
                &["task~gather", "gfp_flags~NOFS"],
                &["kind=vmap", "cpu=0"],
                &["error=-12"],
                &["caller~unpin"],
                &["time>1"],
                &["addr=0xffffc90400010000"],
                &["pid!=133"],
            ] {
                for output in [Output::Raw, Output::Csv, Output::Json] {
                    for most in [None, Some(3)] {
                        let (out, _, strange) =
                            recorded::shown(&options(output, filter, events, most));
                        let out = String::from_utf8(out).unwrap();
                        assert_eq!(out, as_saved(output, filter, events, most), "{filter:?}");
                        assert_eq!(strange, 0);
                    }
                }
            }
        }
        let all = as_saved(Output::Raw, &[], &[], None);
        assert!(all.lines().count() > 100);
        for name in NAMES {
            assert!(all.contains(&format!(": {name}: ")), "{name}");
        }
    }

    #[test]
    fn the_kernel_is_asked_for_what_it_understands() {
        let kinds = recorded::kinds();
        let asked = |name: &str, filter: &[&str]| {
            let filter: Vec<String> = filter.iter().map(|c| c.to_string()).collect();
            let filter = sheet().conditions(&filter).unwrap();
            let kind = kinds.all.iter().find(|kind| kind.name == name).unwrap();
            match asked::of(kind, &filter) {
                Asked::All => "all".to_string(),
                Asked::Nothing => "nothing".to_string(),
                Asked::Those(which) => which,
            }
        };
        for (name, filter, wanted) in [
            ("alloc", &[][..], "all"),
            ("alloc", &["size>1M"], "size > 1048576"),
            ("flush", &["size>1M"], "nothing"),
            ("flush", &["size!=1M"], "all"),
            ("flush", &["size="], "all"),
            ("flush", &["size!~1"], "all"),
            ("flush", &["size~1"], "nothing"),
            ("alloc", &["size=x"], "nothing"),
            ("alloc", &["size!=x"], "all"),
            ("alloc", &["size~1"], "all"),
            (
                "free",
                &["size>=4K", "deferred=1"],
                "size >= 4096 && deferred == 1",
            ),
            ("free", &["deferred<=256"], "all"),
            ("free", &["deferred<=255"], "deferred <= 255"),
            (
                "free",
                &["nr_lazy<=18446744073709551615"],
                "nr_lazy <= 18446744073709551615",
            ),
            ("alloc", &["kind=vmap"], "kind == 1"),
            ("alloc", &["kind!=addresses"], "kind != 3"),
            ("alloc", &["kind=0x7"], "all"),
            ("alloc", &["kind>1"], "all"),
            ("alloc", &["addr=0x1000"], "addr == 4096"),
            ("alloc", &["addr=0x01000"], "all"),
            ("alloc", &["addr=4096"], "all"),
            ("flush", &["start!=0xabc"], "start != 2748"),
            ("fail", &["error=-12"], "all"),
            ("fail", &["waits=1", "reason~room"], "waits == 1"),
            ("alloc", &["event=free"], "nothing"),
            ("free", &["event=free"], "all"),
            ("free", &["event~f"], "all"),
            ("alloc", &["cpu=1", "pid!=7"], "CPU == 1 && common_pid != 7"),
            ("alloc", &["pid<4294967296"], "all"),
            (
                "alloc",
                &["task=sh", "time>1", "caller~x", "gfp_flags~y"],
                "all",
            ),
        ] {
            assert_eq!(asked(name, filter), wanted, "{name} {filter:?}");
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
    fn losses_and_odd_events_of_a_running_kernel_are_counted() {
        for (output, wanted) in [
            (Output::Raw, "CPU:1 [LOST 7 EVENTS]\nCPU:0 [LOST EVENTS]\n"),
            (Output::Json, ""),
        ] {
            let options = options(output, &[], &[], None);
            let kinds = recorded::kinds();
            let mut names = Names::new(recorded::Kernel);
            let mut shown = Shown::new(&options).unwrap();
            let mut out = Vec::new();
            for seen in [
                Seen::Lost(1, Some(7)),
                Seen::Lost(0, None),
                Seen::Event(1, 0, b"\0\0\0\0\0\0\0\0"),
                Seen::Event(1, 0, b""),
            ] {
                assert!(shown.seen(seen, &kinds, &mut names, &mut out).is_ok());
            }
            assert_eq!((shown.seen, shown.lost, shown.strange), (0, 8, 2));
            assert_eq!(String::from_utf8(out).unwrap(), wanted);
        }
    }

    #[test]
    fn a_saved_trace_may_have_an_odd_name() {
        let odd = b"    \xc3\xa4\xff [0] a: b-7       [000] .....     1.000001: flush: start=0x1000 end=0x2000";
        let bell = b" \x1b[2Jx\x07 [0] a: b-7       [000] .....     1.000001: flush: start=0x1000 end=0x2000";
        for (output, odd, wanted) in [
            (Output::Raw, &odd[..], &odd[..]),
            (Output::Raw, bell, b" ?[2Jx? [0] a: b-7       [000]"),
            (Output::Json, odd, b"\"start\":\"0x1000\""),
        ] {
            let options = options(output, &[], &[], None);
            let mut shown = Shown::new(&options).unwrap();
            let mut out = Vec::new();
            assert!(shown.line(odd, &mut out).is_ok());
            assert!(out.windows(wanted.len()).any(|part| part == wanted));
        }
    }
}
