// SPDX-License-Identifier: GPL-2.0

//! The line written to `bench/run`: `key=value` words, and the complaint about a bad one.
//!
//! Plain safe Rust without a kernel type; the host tests include this file and feed it with
//! random lines. Nothing here allocates, loops without bound, or can panic.

use super::catalog::{Entry, Scenario, SideName, CATALOG};
use core::fmt;

/// Longest line, in bytes, its newline included.
pub(crate) const MAX_LINE: usize = 512;

/// An inclusive range; a single number is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

impl Span {
    pub(crate) const fn one(n: u32) -> Span {
        Span { min: n, max: n }
    }

    pub(crate) const fn is_one(self) -> bool {
        self.min == self.max
    }
}

/// Switches of vmapcache that a line sets for its run; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Switches {
    pub(crate) free_area_cache: Option<bool>,
    pub(crate) magazines: Option<bool>,
    pub(crate) lookup_cache: Option<bool>,
    pub(crate) info_cache: Option<bool>,
    /// In pages; 0 flushes at each free.
    pub(crate) lazy_max_pages: Option<u32>,
}

impl Switches {
    pub(crate) fn any(&self) -> bool {
        *self != Switches::default()
    }
}

/// Most sides that one line can name.
pub(crate) const MAX_SIDES: usize = 4;

/// A requested measurement, complete and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) scenario: Scenario,
    pub(crate) sides: [Option<SideName>; MAX_SIDES],
    /// Size of an area in pages, the guard page not counted.
    pub(crate) pages: Span,
    /// Alignment in pages, powers of two.
    pub(crate) align: Span,
    pub(crate) threads: u32,
    pub(crate) writers: u32,
    /// Areas of one page that live before the first run.
    pub(crate) live: u32,
    /// Lazy areas that exist meanwhile.
    pub(crate) lazy: u32,
    /// Timed runs of each side.
    pub(crate) runs: u32,
    /// Operations of each thread in a run; `None`: as many as fit into `ms`.
    pub(crate) ops: Option<u32>,
    /// Length of a run in ms, where `ops` is not given.
    pub(crate) ms: u32,
    pub(crate) seed: u32,
    /// The extra passes, each on its own and untimed.
    pub(crate) latency: bool,
    pub(crate) flushes: bool,
    pub(crate) hold: bool,
    pub(crate) check: bool,
    pub(crate) switches: Switches,
}

impl Spec {
    /// Makes `lazy_search` search, and keeps purges away meanwhile.
    fn search(&mut self) -> Result<(), Complaint<'static>> {
        let complain = |word, why| Err(Complaint { word, why });
        if self.threads != 1 {
            return complain("threads", Why::Range(1, 1));
        }
        self.ops.get_or_insert(200);
        if *self.switches.magazines.get_or_insert(false) {
            return complain("magazines", Why::Needs("magazines=0"));
        }
        let least = u32::try_from(self.lazy_pages()).unwrap_or(u32::MAX);
        let max = self.switches.lazy_max_pages.get_or_insert(u32::MAX);
        if *max < least {
            return complain("lazy_max_pages", Why::Range(least, u32::MAX));
        }
        Ok(())
    }

    /// Lazy pages that `lazy_search` leaves, guard pages included: `lazy=` areas of one page, and one
    /// area of two pages for each operation of all its passes.
    pub(crate) fn lazy_pages(&self) -> u64 {
        let passes = u64::from(self.runs) + 5;
        u64::from(self.lazy) * 2 + passes * u64::from(self.ops.unwrap_or(0)) * 3
    }

    pub(crate) fn sides(&self) -> impl Iterator<Item = SideName> + '_ {
        self.sides.iter().flatten().copied()
    }
}

/// Why a line was refused. Shown as one line that names the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Complaint<'a> {
    /// The wrong word as the user wrote it, or the missing key; may be empty.
    pub(crate) word: &'a str,
    pub(crate) why: Why,
}

/// The reason of a [`Complaint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Empty,
    TooLong,
    NotText,
    SecondLine,
    NoEquals,
    UnknownKey,
    Twice,
    NotANumber,
    /// Outside of this range.
    Range(u32, u32),
    Backwards,
    NotAPowerOfTwo,
    NotABool,
    UnknownScenario,
    NoScenario,
    UnknownSide,
    TooManySides,
    SideCannot(&'static str),
    NotTaken(&'static str),
    NoRandom(&'static str),
    Odd(&'static str),
    NoSideWithSwitches,
    NoProgram,
    /// Without this word the scenario would measure nothing.
    Needs(&'static str),
    /// More threads than twice this number of CPUs.
    TooManyThreads(u32),
    /// The side cannot do this at all on this kernel.
    Missing(&'static str),
    NoMemory(&'static str),
    /// The arena is too small for the request: MiB that it has, and should have.
    Arena(u64, u64),
}

impl fmt::Display for Complaint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.word.is_empty() {
            // The user may have written anything: show it escaped, and not all of it.
            for c in self.word.chars().take(64) {
                write!(f, "{}", c.escape_default())?;
            }
            f.write_str(": ")?;
        }
        match self.why {
            Why::Empty => f.write_str("an empty line; scenario=NAME is the least"),
            Why::TooLong => write!(f, "a line longer than {MAX_LINE} bytes"),
            Why::NotText => f.write_str("not plain text"),
            Why::SecondLine => f.write_str("more than one line"),
            Why::NoEquals => f.write_str("not of the form key=value"),
            Why::UnknownKey => f.write_str("no such key"),
            Why::Twice => f.write_str("this key was given before"),
            Why::NotANumber => f.write_str("not a number"),
            Why::Range(min, max) => write!(f, "must be {min} to {max}"),
            Why::Backwards => f.write_str("a range that runs backwards"),
            Why::NotAPowerOfTwo => f.write_str("not a power of two"),
            Why::NotABool => f.write_str("must be 0 or 1"),
            Why::UnknownScenario => {
                f.write_str("no such scenario; there are:")?;
                CATALOG.iter().try_for_each(|e| write!(f, " {}", e.name))
            }
            Why::NoScenario => f.write_str("missing"),
            Why::UnknownSide => {
                f.write_str("no such side; there are:")?;
                SideName::ALL
                    .iter()
                    .try_for_each(|s| write!(f, " {}", s.name()))
            }
            Why::TooManySides => write!(f, "more than {MAX_SIDES} sides, or one named twice"),
            Why::SideCannot(scenario) => write!(f, "cannot run scenario={scenario}"),
            Why::NotTaken(scenario) => write!(f, "not taken by scenario={scenario}"),
            Why::NoRandom(scenario) => write!(f, "scenario={scenario} takes one size, no range"),
            Why::Odd(scenario) => write!(f, "scenario={scenario} needs pairs: an even number"),
            Why::NoSideWithSwitches => {
                f.write_str("a switch of vmapcache, which sides= leaves out")
            }
            Why::NoProgram => f.write_str("there is no program: write one to bench/program"),
            Why::Needs(word) => write!(f, "this scenario needs {word}"),
            Why::Arena(has, needed) => write!(
                f,
                "the arena has {has} MiB and this takes {needed}: load the module with arena_mb="
            ),
            Why::TooManyThreads(cpus) => {
                write!(
                    f,
                    "threads and writers are limited to twice the {cpus} CPUs"
                )
            }
            Why::Missing(what) => write!(f, "this kernel does not offer {what}"),
            Why::NoMemory(what) => write!(f, "no memory for {what}"),
        }
    }
}

/// The range of a key's values.
const MAX_THREADS: u32 = 256;
const MAX_LIVE: u32 = 4_000_000;
const MAX_LAZY: u32 = 1_000_000;
const MAX_RUNS: u32 = 64;
const MAX_OPS: u32 = 100_000_000;
const MAX_MS: u32 = 10_000;
const MAX_ALIGN: u32 = 65_536;

fn number(value: &str, min: u32, max: u32) -> Result<u32, Why> {
    // Digits only: `parse` would take "+1" as well, and echo something else.
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Why::NotANumber);
    }
    match value.parse::<u32>() {
        Ok(n) if (min..=max).contains(&n) => Ok(n),
        _ => Err(Why::Range(min, max)),
    }
}

fn span(value: &str, min: u32, max: u32) -> Result<Span, Why> {
    let (a, b) = match value.split_once('-') {
        None => (number(value, min, max)?, None),
        Some((a, b)) => (number(a, min, max)?, Some(number(b, min, max)?)),
    };
    match b {
        Some(b) if b < a => Err(Why::Backwards),
        b => Ok(Span {
            min: a,
            max: b.unwrap_or(a),
        }),
    }
}

fn yes_or_no(value: &str) -> Result<bool, Why> {
    match value {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(Why::NotABool),
    }
}

fn set<T>(slot: &mut Option<T>, value: Result<T, Why>) -> Result<(), Why> {
    if slot.is_some() {
        return Err(Why::Twice);
    }
    *slot = Some(value?);
    Ok(())
}

/// The words of a line, each by its key, before the checks against each other.
#[derive(Default)]
struct Words<'a> {
    scenario: Option<&'static Entry>,
    sides: Option<([Option<SideName>; MAX_SIDES], &'a str)>,
    pages: Option<Span>,
    align: Option<Span>,
    threads: Option<u32>,
    writers: Option<u32>,
    live: Option<u32>,
    lazy: Option<u32>,
    runs: Option<u32>,
    ops: Option<u32>,
    ms: Option<u32>,
    seed: Option<u32>,
    latency: Option<bool>,
    flushes: Option<bool>,
    hold: Option<bool>,
    check: Option<bool>,
    switches: Switches,
}

impl<'a> Words<'a> {
    fn take(&mut self, key: &str, value: &'a str) -> Result<(), Why> {
        match key {
            "scenario" => {
                let entry = CATALOG.iter().find(|e| e.name == value);
                set(&mut self.scenario, entry.ok_or(Why::UnknownScenario))
            }
            "sides" => set(&mut self.sides, sides(value).map(|s| (s, value))),
            "pages" => set(&mut self.pages, span(value, 1, MAX_ALIGN)),
            "align" => set(&mut self.align, align(value)),
            "threads" => set(&mut self.threads, number(value, 1, MAX_THREADS)),
            "writers" => set(&mut self.writers, number(value, 0, MAX_THREADS)),
            "live" => set(&mut self.live, number(value, 0, MAX_LIVE)),
            "lazy" => set(&mut self.lazy, number(value, 1, MAX_LAZY)),
            "runs" => set(&mut self.runs, number(value, 1, MAX_RUNS)),
            "ops" => set(&mut self.ops, number(value, 1, MAX_OPS)),
            "ms" => set(&mut self.ms, number(value, 1, MAX_MS)),
            "seed" => set(&mut self.seed, number(value, 0, u32::MAX)),
            "latency" => set(&mut self.latency, yes_or_no(value)),
            "flushes" => set(&mut self.flushes, yes_or_no(value)),
            "hold" => set(&mut self.hold, yes_or_no(value)),
            "check" => set(&mut self.check, yes_or_no(value)),
            "free_area_cache" => set(&mut self.switches.free_area_cache, yes_or_no(value)),
            "magazines" => set(&mut self.switches.magazines, yes_or_no(value)),
            "lookup_cache" => set(&mut self.switches.lookup_cache, yes_or_no(value)),
            "info_cache" => set(&mut self.switches.info_cache, yes_or_no(value)),
            "lazy_max_pages" => set(
                &mut self.switches.lazy_max_pages,
                number(value, 0, u32::MAX),
            ),
            _ => Err(Why::UnknownKey),
        }
    }

    /// Checks the words against each other and fills in the defaults.
    fn complete(self) -> Result<Spec, Complaint<'a>> {
        let complain = |word, why| Err(Complaint { word, why });
        let Some(entry) = self.scenario else {
            return complain("scenario", Why::NoScenario);
        };
        let name = entry.name;

        let sides = match self.sides {
            None => default_sides(entry),
            Some((sides, word)) => {
                if sides.iter().flatten().any(|s| s.bit() & entry.sides == 0) {
                    return complain(word, Why::SideCannot(name));
                }
                sides
            }
        };
        if self.switches.any() && !sides.contains(&Some(SideName::Vmapcache)) {
            return complain("sides", Why::NoSideWithSwitches);
        }

        let pages = self.pages.unwrap_or(Span::one(1));
        if self.pages.is_some() && entry.max_pages == 0 {
            return complain("pages", Why::NotTaken(name));
        }
        if pages.max > entry.max_pages.max(1) {
            return complain("pages", Why::Range(1, entry.max_pages));
        }
        let align = self.align.unwrap_or(Span::one(1));
        if !entry.shapes {
            if self.align.is_some() {
                return complain("align", Why::NotTaken(name));
            }
            if !pages.is_one() {
                return complain("pages", Why::NoRandom(name));
            }
        }
        if self.live.is_some() && entry.live.is_none() {
            return complain("live", Why::NotTaken(name));
        }
        if self.lazy.is_some() && entry.lazy.is_none() {
            return complain("lazy", Why::NotTaken(name));
        }
        if self.writers.is_some() && !entry.writers {
            return complain("writers", Why::NotTaken(name));
        }
        // A program says all of these.
        if entry.scenario == Scenario::Replay {
            let given = [
                ("threads", self.threads),
                ("ops", self.ops),
                ("ms", self.ms),
                ("seed", self.seed),
            ];
            if let Some((key, _)) = given.iter().find(|(_, value)| value.is_some()) {
                return complain(key, Why::NotTaken(name));
            }
        }
        let live = self.live.or(entry.live).unwrap_or(0);
        if entry.scenario.needs_live() && live == 0 {
            return complain("live", Why::Range(1, MAX_LIVE));
        }
        let threads = self.threads.unwrap_or(entry.threads);
        if entry.pairs && threads % 2 != 0 {
            return complain("threads", Why::Odd(name));
        }

        let mut spec = Spec {
            scenario: entry.scenario,
            sides,
            pages,
            align,
            threads,
            writers: self.writers.unwrap_or(0),
            live,
            lazy: self.lazy.or(entry.lazy).unwrap_or(0),
            runs: self.runs.unwrap_or(5),
            ops: self.ops,
            ms: self.ms.unwrap_or(100),
            seed: self.seed.unwrap_or(1),
            latency: self.latency.unwrap_or(true),
            flushes: self.flushes.unwrap_or(true),
            hold: self.hold.unwrap_or(true),
            check: self.check.unwrap_or(true),
            switches: self.switches,
        };
        if spec.scenario == Scenario::LazySearch {
            spec.search()?;
        }
        Ok(spec)
    }
}

fn sides(value: &str) -> Result<[Option<SideName>; MAX_SIDES], Why> {
    let mut sides = [None; MAX_SIDES];
    for (i, name) in value.split(',').enumerate() {
        let side = SideName::from_name(name).ok_or(Why::UnknownSide)?;
        if sides.contains(&Some(side)) {
            return Err(Why::TooManySides);
        }
        *sides.get_mut(i).ok_or(Why::TooManySides)? = Some(side);
    }
    Ok(sides)
}

fn default_sides(entry: &Entry) -> [Option<SideName>; MAX_SIDES] {
    let mut sides = [None; MAX_SIDES];
    let wanted = SideName::ALL
        .into_iter()
        .filter(|s| s.bit() & entry.default_sides != 0);
    for (slot, side) in sides.iter_mut().zip(wanted) {
        *slot = Some(side);
    }
    sides
}

fn align(value: &str) -> Result<Span, Why> {
    let align = span(value, 1, MAX_ALIGN)?;
    if align.min.is_power_of_two() && align.max.is_power_of_two() {
        Ok(align)
    } else {
        Err(Why::NotAPowerOfTwo)
    }
}

/// Reads one line; a newline at its end is allowed.
///
/// # Errors
///
/// The first fault, as a [`Complaint`] that names the word.
pub(crate) fn parse(line: &[u8]) -> Result<Spec, Complaint<'_>> {
    let complain = |word, why| Err(Complaint { word, why });
    if line.len() > MAX_LINE {
        return complain("", Why::TooLong);
    }
    let Ok(line) = core::str::from_utf8(line) else {
        return complain("", Why::NotText);
    };
    let line = line.strip_suffix('\n').unwrap_or(line);
    if line.contains('\n') {
        return complain("", Why::SecondLine);
    }
    if line.chars().any(|c| c.is_ascii_control() && c != '\t') {
        return complain("", Why::NotText);
    }
    let mut words = Words::default();
    let mut empty = true;
    for word in line.split_ascii_whitespace() {
        empty = false;
        let Some((key, value)) = word.split_once('=') else {
            return complain(word, Why::NoEquals);
        };
        if let Err(why) = words.take(key, value) {
            return complain(word, why);
        }
    }
    if empty {
        return complain("", Why::Empty);
    }
    words.complete()
}
