// SPDX-License-Identifier: GPL-2.0

//! What the module shows, as it is or for other programs.

use crate::{
    metrics,
    parse::{self, Wrong},
    sheet::{Cell, Row, Sheet},
    Output,
};
use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

#[derive(clap::Args)]
pub struct Options {
    /// As the module prints it, or for other programs
    #[arg(short = 'O', long, value_enum, default_value_t)]
    output: Output,
    /// The column to sort by: the largest number first, text by the alphabet
    #[arg(long, value_name = "COLUMN")]
    sort: Option<String>,
    /// Sorts the other way round
    #[arg(long, requires = "sort")]
    reverse: bool,
    /// Only rows for which this holds: COLUMN, one of = != < <= > >= ~ !~, VALUE (4K, 2M; ~: contains)
    #[arg(long, value_name = "CONDITION")]
    filter: Vec<String>,
    /// A saved copy of the file instead of the module's own ("-": standard input)
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// One of the module's files.
#[derive(Clone, Copy, PartialEq)]
pub enum Source {
    Stats,
    Info,
    Callers,
    Areas,
}

impl Source {
    pub fn path(self) -> &'static str {
        match self {
            Source::Stats => "/sys/kernel/debug/vmapcache/stats",
            Source::Info => "/sys/kernel/debug/vmapcache/info",
            Source::Callers => "/sys/kernel/debug/vmapcache/callers",
            Source::Areas => "/proc/vmapcacheinfo",
        }
    }
}

/// Why the module's file cannot be read, and what to do.
fn explain(path: &str, error: &io::Error) -> String {
    let exists = |path: &str| Path::new(path).exists();
    let why = match error.kind() {
        io::ErrorKind::PermissionDenied => "only root can read it",
        io::ErrorKind::NotFound if !exists("/sys/module/vmapcache") => {
            "vmapcache.ko is not loaded (modprobe vmapcache, or insmod vmapcache.ko)"
        }
        io::ErrorKind::NotFound
            if path.starts_with("/sys/kernel/debug") && !exists("/sys/kernel/debug/vmapcache") =>
        {
            "debugfs is not mounted (mount -t debugfs none /sys/kernel/debug)"
        }
        io::ErrorKind::NotFound => {
            "the module that is loaded is another version, which has no such file"
        }
        _ => return format!("{path}: {error}"),
    };
    format!("{path}: {why}")
}

/// A text that nothing has parsed yet, and its name for messages.
pub struct Text {
    pub name: String,
    pub text: String,
}

/// Opens the module's file, or a saved copy.
pub fn open(source: Source, from: Option<&Path>) -> Result<fs::File, String> {
    match from {
        None => fs::File::open(source.path()).map_err(|e| explain(source.path(), &e)),
        Some(path) => fs::File::open(path).map_err(|e| format!("{}: {e}", path.display())),
    }
}

/// What the file `name` has, if that is text.
pub fn text_of(name: &str, bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        format!("{name}: byte {at} is not text")
    })
}

impl Text {
    /// Reads the module's file, or a saved copy.
    pub fn read(source: Source, from: Option<&Path>) -> Result<Text, String> {
        let mut bytes = Vec::new();
        let name = match from {
            None => {
                let path = source.path();
                bytes = fs::read(path).map_err(|e| explain(path, &e))?;
                path.to_string()
            }
            Some(path) if path == Path::new("-") => {
                let read = io::stdin().read_to_end(&mut bytes);
                read.map_err(|e| format!("standard input: {e}"))?;
                "standard input".into()
            }
            Some(path) => {
                let name = path.display().to_string();
                bytes = fs::read(path).map_err(|e| format!("{name}: {e}"))?;
                name
            }
        };
        let text = text_of(&name, bytes)?;
        Ok(Text { name, text })
    }

    pub fn wrong(&self, wrong: Wrong) -> String {
        format!("{}: {wrong}", self.name)
    }
}

/// A function's name as its source has it: Rust's are mangled.
pub fn readable(function: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(function))
}

fn pairs(all: &[(&str, parse::Value)], text: &str) -> Sheet {
    let mut sheet = Sheet::new(["key", "value"]);
    for ((key, value), line) in all.iter().zip(text.lines()) {
        let cell = match value {
            parse::Value::Number(number) => Cell::Number(*number),
            parse::Value::Word(word) => Cell::text(Some(word)),
            parse::Value::Holder {
                bytes,
                areas,
                function,
            } => Cell::Holder {
                bytes: *bytes,
                areas: *areas,
                function: function.to_string(),
            },
        };
        sheet.rows.push(Row {
            cells: vec![Cell::text(Some(key)), cell],
            raw: line.into(),
        });
    }
    sheet
}

fn callers(all: &parse::Callers, text: &str) -> Sheet {
    let mut sheet = Sheet::new(["function", "module"]);
    let names = all.columns.iter().map(|column| column.to_string());
    sheet.columns = names.chain(sheet.columns).collect();
    let mut lines = text.lines();
    sheet.head = lines.next().map(String::from);
    for (caller, line) in all.callers.iter().zip(lines) {
        let mut cells: Vec<Cell> = caller.numbers.iter().copied().map(Cell::Number).collect();
        cells.push(Cell::Text(readable(caller.function)));
        cells.push(Cell::text(caller.module));
        let raw = line.into();
        sheet.rows.push(Row { cells, raw });
    }
    sheet
}

fn areas(all: &[parse::Area], text: &str) -> Sheet {
    let mut sheet = Sheet::new([
        "start", "end", "bytes", "state", "kind", "function", "offset", "module", "pages", "pins",
        "cpu", "nodes",
    ]);
    for (area, line) in all.iter().zip(text.lines()) {
        let address = |address: u64| Cell::Text(format!("{address:#018x}"));
        let cells = vec![
            address(area.start),
            address(area.end),
            Cell::Number(area.bytes),
            Cell::text(Some(area.state.name())),
            Cell::text(Some(area.kind)),
            Cell::text(area.function.map(readable).as_deref()),
            Cell::text(area.offset),
            Cell::text(area.module),
            Cell::number(area.pages),
            Cell::Number(area.pins),
            Cell::number(area.cpu),
            Cell::text(Some(area.nodes)),
        ];
        let raw = line.into();
        sheet.rows.push(Row { cells, raw });
    }
    sheet
}

/// The whole text in the form that was asked for.
fn form(source: Source, text: &Text, options: &Options, out: &mut dyn Write) -> Result<(), String> {
    let metrics = options.output == Output::Openmetrics;
    if metrics && (options.sort.is_some() || !options.filter.is_empty()) {
        return Err(
            "openmetrics has all values, in an order of its own: no --sort, no --filter".into(),
        );
    }
    let wrong = |wrong| text.wrong(wrong);
    let (sheet, metrics) = match source {
        Source::Stats | Source::Info => {
            let all = parse::counters(&text.text).map_err(wrong)?;
            let metrics = metrics.then(|| metrics::counters(&all)).transpose()?;
            (pairs(&all, &text.text), metrics)
        }
        Source::Callers => {
            let all = parse::callers(&text.text).map_err(wrong)?;
            let metrics = metrics
                .then(|| metrics::callers(&all, readable))
                .transpose()?;
            (callers(&all, &text.text), metrics)
        }
        Source::Areas => {
            let all = parse::areas(&text.text).map_err(wrong)?;
            let metrics = metrics.then(|| metrics::areas(all.iter())).transpose()?;
            (areas(&all, &text.text), metrics)
        }
    };
    let say = |e: io::Error| format!("output: {e}");
    if let Some(metrics) = metrics {
        return out.write_all(metrics.as_bytes()).map_err(say);
    }
    let mut sheet = sheet;
    sheet.filter(&options.filter)?;
    if let Some(column) = &options.sort {
        sheet.sort(column, options.reverse)?;
    }
    let object = matches!(source, Source::Stats | Source::Info);
    sheet.print(out, options.output, object).map_err(say)
}

/// Shows one of the module's files.
pub fn show(source: Source, options: &Options) -> Result<bool, String> {
    let text = Text::read(source, options.from.as_deref())?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    form(source, &text, options, &mut out)?;
    out.flush().map_err(|e| format!("output: {e}"))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::tests::{AREAS, CALLERS, INFO, STATS};
    use serde_json::Value;

    fn shown(source: Source, text: &str, output: Output) -> Result<String, String> {
        let text = Text {
            name: "file".into(),
            text: text.into(),
        };
        let options = Options {
            output,
            sort: None,
            reverse: false,
            filter: Vec::new(),
            from: None,
        };
        let mut out = Vec::new();
        form(source, &text, &options, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    const ALL: [(Source, &str); 4] = [
        (Source::Stats, STATS),
        (Source::Info, INFO),
        (Source::Callers, CALLERS),
        (Source::Areas, AREAS),
    ];

    #[test]
    fn raw_is_what_the_module_prints() {
        for (source, text) in ALL {
            assert_eq!(shown(source, text, Output::Raw).unwrap(), text);
        }
    }

    #[test]
    fn json_has_numbers_as_numbers() {
        let json = |source, text| -> Value {
            serde_json::from_str(&shown(source, text, Output::Json).unwrap()).unwrap()
        };
        let info = json(Source::Info, INFO);
        assert_eq!(info["bytes_arena"], 8589934592u64);
        assert_eq!(info["caller_1"]["areas"], 90);
        assert_eq!(
            info["caller_1"]["function"],
            "keep+0x208/0x580 [vmapcache_test]"
        );
        assert_eq!(info["cached"], "no");
        assert_eq!(json(Source::Stats, STATS)["guard_vfree"], "on");
        let callers = json(Source::Callers, CALLERS);
        let held: u64 = callers
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["bytes"].as_u64().unwrap())
            .sum();
        assert_eq!(held, info["bytes_live"].as_u64().unwrap());
        assert_eq!(callers[0]["module"], "vmapcache_test");
        let areas = json(Source::Areas, AREAS);
        let alive = areas
            .as_array()
            .unwrap()
            .iter()
            .filter(|area| area["state"] != "lazy");
        assert_eq!(alive.count() as u64, info["areas"].as_u64().unwrap());
    }

    #[test]
    fn csv_has_a_field_for_each_column() {
        for (source, text) in ALL {
            let csv = shown(source, text, Output::Csv).unwrap();
            // The reader refuses rows of another length.
            let mut reader = csv::Reader::from_reader(csv.as_bytes());
            let rows = reader
                .records()
                .collect::<Result<Vec<_>, _>>()
                .unwrap()
                .len();
            assert_eq!(
                rows,
                text.lines().filter(|line| !line.starts_with('#')).count()
            );
        }
    }

    #[test]
    fn names_of_rust_functions_are_readable() {
        let csv = shown(Source::Callers, CALLERS, Output::Csv).unwrap();
        assert!(
            csv.contains("<vmapcache_sample_rust::Sample as kernel::module::Module>::init"),
            "{csv}"
        );
        assert!(!csv.contains("_RNv"), "{csv}");
    }

    #[test]
    fn metrics_have_units_and_an_end() {
        let text = |source, text| shown(source, text, Output::Openmetrics).unwrap();
        let stats = text(Source::Stats, STATS);
        for line in [
            "# TYPE vmapcache_arena_bytes gauge",
            "# UNIT vmapcache_arena_bytes bytes",
            "vmapcache_arena_bytes 8589934592",
            "# TYPE vmapcache_flushes counter",
            "vmapcache_errors_total{kind=\"double_free\"} 0",
            "# UNIT vmapcache_hold_max_seconds seconds",
            "vmapcache_guard_state{name=\"vfree\",state=\"on\"} 1",
            "vmapcache_lazy_max_pages 16384",
        ] {
            assert!(stats.lines().any(|l| l == line), "{line}\n{stats}");
        }
        let info = text(Source::Info, INFO);
        assert!(
            info.contains("vmapcache_areas_of_size{upto_pages=\"32\"} 36\n"),
            "{info}"
        );
        assert!(
            info.contains("vmapcache_fragmentation_ratio 0.01\n"),
            "{info}"
        );
        let callers = text(Source::Callers, CALLERS);
        assert!(
            callers.contains(
                "vmapcache_caller_live_bytes{function=\"keep\",module=\"vmapcache_test\"} "
            ),
            "{callers}"
        );
        // One server may get those of all files but info, which repeats stats.
        let mut seen = std::collections::BTreeSet::new();
        for (source, text_) in ALL {
            let metrics = text(source, text_);
            assert!(metrics.ends_with("# EOF\n"));
            if source == Source::Info {
                continue;
            }
            for line in metrics.lines().filter(|line| !line.starts_with('#')) {
                let (series, value) = line.rsplit_once(' ').unwrap();
                assert!(seen.insert(series.to_string()), "twice: {series}");
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
            for line in metrics.lines().filter(|line| line.starts_with("# TYPE ")) {
                assert!(seen.insert(line.to_string()), "twice: {line}");
            }
        }
    }

    #[test]
    fn a_wrong_text_is_named_with_its_line() {
        for (source, text, wanted) in [
            (
                Source::Stats,
                "areas 1\nareas\n",
                "file: line 2: \"areas\" is not a key and its value",
            ),
            (Source::Stats, "", "file: nothing is in it"),
            (
                Source::Stats,
                "areas 1\nfrees 1",
                "file: line 2: ends in the middle: the text is cut off",
            ),
            (
                Source::Stats,
                "areas 99999999999999999999\n",
                "file: line 1: \"areas 99999999999999999999\" is not a key and its value",
            ),
            (
                Source::Stats,
                "a 1\na 2\n",
                "file: line 2: a comes a second time",
            ),
            (
                Source::Callers,
                "0 1 2 3 f\n",
                "file: line 1: \"0 1 2 3 f\" is not the head \"# bytes areas ... function\"",
            ),
            (
                Source::Callers,
                "# bytes areas function\n0 f\n",
                "file: line 2: \"0 f\" is not 2 numbers and a function",
            ),
            (
                Source::Areas,
                "\u{1b}[2J\n",
                "file: line 1: \"\\u{1b}[2J\" is not an area",
            ),
        ] {
            assert_eq!(shown(source, text, Output::Json).unwrap_err(), wanted);
        }
    }
}
