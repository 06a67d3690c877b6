// SPDX-License-Identifier: GPL-2.0

//! /proc/vmapcacheinfo, and /proc/vmallocinfo, whose format it has.

use super::{lines, number, Wrong};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Live,
    /// Freed, and still mapped: somebody pins it.
    Freed,
    /// Freed, and waits for a flush.
    Lazy,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Live => "live",
            State::Freed => "freed",
            State::Lazy => "lazy",
        }
    }
}

#[derive(Debug, PartialEq)]
pub struct Area<'a> {
    /// 0, or hashed, if the kernel shows no addresses to this reader.
    pub start: u64,
    pub end: u64,
    /// With the guard page.
    pub bytes: u64,
    /// As the kernel names it: perhaps mangled.
    pub function: Option<&'a str>,
    /// "0x36/0x90": where in the function, and how long that is.
    pub offset: Option<&'a str>,
    pub module: Option<&'a str>,
    /// "vmalloc", "vmap", ...; empty if the line names none.
    pub kind: &'a str,
    pub state: State,
    pub pages: Option<u64>,
    pub pins: u64,
    pub cpu: Option<u64>,
    /// "N0=4", perhaps more of them.
    pub nodes: &'a str,
}

fn address(word: &str) -> Option<u64> {
    let digits = word.strip_prefix("0x")?;
    // from_str_radix() would take a sign.
    digits
        .bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then_some(())?;
    u64::from_str_radix(digits, 16).ok()
}

/// The words of a line, each with its place in it.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = line.get(at..)?;
        let from = at + rest.len() - rest.trim_start_matches(' ').len();
        let word = line[from..]
            .split(' ')
            .next()
            .filter(|word| !word.is_empty())?;
        at = from + word.len();
        Some((from, word))
    })
}

/// One line.
pub fn area(line: &str) -> Option<Area<'_>> {
    let mut words = words(line);
    let (start, end) = words.next()?.1.split_once('-')?;
    let mut area = Area {
        start: address(start)?,
        end: address(end)?,
        bytes: number(words.next()?.1)?,
        function: None,
        offset: None,
        module: None,
        kind: "",
        state: State::Live,
        pages: None,
        pins: 0,
        cpu: None,
        nodes: "",
    };
    let mut nodes = None;
    for (n, (at, word)) in words.enumerate() {
        match word.split_once('=') {
            Some(("pages", pages)) => area.pages = Some(number(pages)?),
            Some(("pinned", pins)) => area.pins = number(pins)?,
            Some(("cpu", cpu)) => area.cpu = Some(number(cpu)?),
            Some((node, pages)) if node.strip_prefix('N').and_then(number).is_some() => {
                number(pages)?;
                // From the first node to the end of this one.
                area.nodes = &line[*nodes.get_or_insert(at)..at + word.len()];
            }
            Some(_) => {}
            None if n == 0 && word != "unpurged" && kind(word).is_none() => {
                let (name, offset) = match word.split_once('+') {
                    Some((name, offset)) => (name, Some(offset)),
                    None => (word, None),
                };
                (area.function, area.offset) = (Some(name), offset);
            }
            None if n == 1 && area.function.is_some() && word.starts_with('[') => {
                area.module = word.strip_prefix('[').and_then(|m| m.strip_suffix(']'));
            }
            None => match word {
                "unpurged" | "lazy" => area.state = State::Lazy,
                "freed" => area.state = State::Freed,
                _ => area.kind = kind(word).unwrap_or(area.kind),
            },
        }
    }
    Some(area)
}

/// What a word says that the area is.
fn kind(word: &str) -> Option<&'static str> {
    const KINDS: [&str; 7] = [
        "vmalloc",
        "vmap",
        "vm_map_ram",
        "ioremap",
        "user",
        "sparse",
        "dma-coherent",
    ];
    KINDS.into_iter().find(|kind| *kind == word)
}

/// # Errors
///
/// A line that is no area.
pub fn areas(text: &str) -> Result<Vec<Area<'_>>, Wrong> {
    let all = lines(text)?;
    all.map(|(n, line)| area(line).ok_or_else(|| Wrong::line(n, "an area", line)))
        .collect()
}
