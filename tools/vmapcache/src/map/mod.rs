// SPDX-License-Identifier: GPL-2.0

//! The arena as a picture: what is where.

mod picture;
mod svg;
mod terminal;

use crate::{
    machine, output,
    parse::{self, Area, State, Wrong},
    view::{self, Source},
};
use clap::ValueEnum;
use picture::{Groups, Picture, Piece};
use std::{
    fs,
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
};

/// What the colours mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, ValueEnum)]
pub enum By {
    /// Live, guard page, lazy, or freed and pinned
    #[default]
    State,
    /// The functions that hold most
    Caller,
    /// The size of the area
    Size,
}

#[derive(clap::Args)]
pub struct Options {
    /// What the colours mean
    #[arg(long, value_enum, default_value_t)]
    by: By,
    /// Writes an SVG file instead
    #[arg(short, long, value_name = "FILE.svg")]
    output: Option<PathBuf>,
    /// Shows the whole arena, not only the part from its first area to its last
    #[arg(long, conflicts_with = "from")]
    whole: bool,
    /// Columns of the picture (default: 64 in a terminal, 128 in a file)
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    columns: Option<u16>,
    /// Its rows (default: 16 in a terminal, 64 in a file)
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rows: Option<u16>,
    /// A saved copy of /proc/vmapcacheinfo ("-": standard input)
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// Bytes of a page, which is also a guard page: what the area itself says, if all of it is mapped. A file may come
/// from another machine.
fn page_of(area: &Area) -> Option<u64> {
    let bytes = area.bytes / area.pages?.checked_add(1)?;
    (bytes.is_power_of_two() && bytes >= 4096).then_some(bytes)
}

/// The smallest size classes, by the pages of an area without its guard page.
const SIZES: [(u64, &str); 6] = [
    (1, "1 page"),
    (4, "2 to 4 pages"),
    (16, "5 to 16 pages"),
    (64, "17 to 64 pages"),
    (256, "65 to 256 pages"),
    (u64::MAX, "more than 256 pages"),
];

/// Adds an area's parts to the picture's pieces.
fn add(area: &Area, page: u64, by: By, groups: &mut Groups, pieces: &mut Vec<Piece>) {
    let mut piece = |name: &str, start, end| {
        let group = groups.number(name);
        groups.count(group, end - start);
        pieces.push(Piece { start, end, group });
    };
    let (start, end) = (area.start, area.end);
    match by {
        By::State if area.state == State::Lazy => piece("lazy", start, end),
        By::State => {
            let guard = end.saturating_sub(page).max(start);
            piece(area.state.name(), start, guard);
            piece("guard", guard, end);
        }
        By::Caller if area.state == State::Lazy => piece("(lazy)", start, end),
        By::Caller => piece(area.function.unwrap_or("(no caller)"), start, end),
        By::Size => {
            let pages = (area.bytes / page).saturating_sub(1);
            let class = SIZES.iter().find(|(most, _)| pages <= *most);
            piece(class.map_or("", |(_, name)| name), start, end);
        }
    }
}

const HIDDEN: &str =
    "the kernel hides addresses: sysctl kernel.kptr_restrict=1, and read it as root";

/// Reads areas line by line: a million of them would take 100 MB as text alone.
fn pieces(input: &mut dyn BufRead, by: By) -> Result<(Vec<Piece>, Groups), String> {
    let (mut pieces, mut groups) = (Vec::new(), Groups::default());
    let fixed: &[&str] = match by {
        By::State => &["live", "guard", "lazy", "freed"],
        By::Size => &SIZES.map(|(_, name)| name),
        By::Caller => &[],
    };
    for name in fixed {
        groups.number(name);
    }
    let (mut line, mut number, mut last) = (String::new(), 0, 0);
    // Until an area says better.
    let mut page = machine::page_bytes();
    loop {
        line.clear();
        if input.read_line(&mut line).map_err(|e| e.to_string())? == 0 {
            return Ok((pieces, groups));
        }
        number += 1;
        let wrong = |wrong: Wrong| {
            let line = number;
            Wrong { line, ..wrong }.to_string()
        };
        let Some(area) = line.strip_suffix('\n').and_then(parse::area) else {
            // Says what is wrong with it.
            return Err(parse::areas(&line)
                .map(|_| String::new())
                .unwrap_or_else(wrong));
        };
        if area.end.checked_sub(area.start) != Some(area.bytes) {
            return Err(HIDDEN.into());
        }
        if area.start < last {
            return Err(format!("line {number}: addresses do not ascend"));
        }
        last = area.end;
        page = page_of(&area).unwrap_or(page);
        add(&area, page, by, &mut groups, &mut pieces);
    }
}

/// Where the arena is, as /proc/vmallocinfo says.
fn arena(text: &str) -> Option<(u64, u64)> {
    let mut all = text.lines().filter_map(parse::area);
    let Area {
        start, end, bytes, ..
    } = all.find(|area| area.module == Some("vmapcache"))?;
    // The in-tree allocator puts a guard page behind the arena.
    (end.checked_sub(start) == Some(bytes)).then(|| (start, end - machine::page_bytes()))
}

pub fn show(options: &Options) -> Result<bool, String> {
    let name = options
        .from
        .as_ref()
        .map_or(Source::Areas.path().to_string(), |path| {
            path.display().to_string()
        });
    let mut input: Box<dyn BufRead> = match &options.from {
        Some(path) if path.as_os_str() == "-" => Box::new(io::stdin().lock()),
        path => Box::new(io::BufReader::new(view::open(
            Source::Areas,
            path.as_deref(),
        )?)),
    };
    let (pieces, mut groups) =
        pieces(&mut input, options.by).map_err(|e| format!("{name}: {e}"))?;
    let used = pieces.first().zip(pieces.last());
    let mut range = used.map(|(first, last)| (first.start, last.end));
    if options.whole {
        let text = fs::read_to_string("/proc/vmallocinfo")
            .map_err(|e| format!("/proc/vmallocinfo: {e}"))?;
        range = Some(arena(&text).ok_or("/proc/vmallocinfo does not show where the arena is")?);
    }
    let Some(range) = range else {
        if options.output.is_some() {
            return Err(format!("{name}: there are no areas to draw"));
        }
        println!("There are no areas.");
        return Ok(true);
    };
    groups.settle(options.by != By::Caller);
    let shape = |columns: u16, rows: u16| {
        let columns = options.columns.unwrap_or(columns);
        (columns.into(), options.rows.unwrap_or(rows).into())
    };
    match &options.output {
        Some(path) => {
            let picture = Picture::new(range, &pieces, &groups, shape(128, 64));
            let text = svg::draw(&picture, &groups, options.by);
            let written = output::replace(path, |mut file| file.write_all(text.as_bytes()));
            written.map_err(|e| format!("{}: {e}", path.display()))?;
        }
        None => {
            let picture = Picture::new(range, &pieces, &groups, shape(64, 16));
            let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            print!("{}", terminal::draw(&picture, &groups, colours));
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
