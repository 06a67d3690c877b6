// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::parse::{counters, tests as recorded, Value};

fn drawn(text: &str, by: By, shape: (usize, usize)) -> (Picture, Groups) {
    let (pieces, mut groups) = pieces(&mut text.as_bytes(), by).unwrap();
    groups.settle(by != By::Caller);
    let range = (pieces[0].start, pieces.last().unwrap().end);
    (Picture::new(range, &pieces, &groups, shape), groups)
}

const PAGE: u64 = 4096;

/// A live area of so many pages, its guard page among them.
fn line(page: u64, pages: u64, function: &str) -> String {
    let start = 0xffffc90400000000 + page * PAGE;
    let end = start + pages * PAGE;
    format!(
        "{start:#x}-{end:#x} {:7} {function}+0x1/0x2 pages={} vmalloc N0=1 cpu=0\n",
        pages * PAGE,
        pages - 1
    )
}

#[test]
fn every_byte_is_in_one_cell() {
    let info = counters(recorded::INFO).unwrap();
    let value = |wanted: &str| match info.iter().find(|(key, _)| *key == wanted) {
        Some((_, Value::Number(number))) => *number,
        _ => panic!("{wanted}"),
    };
    for by in [By::State, By::Caller, By::Size] {
        for shape in [(1, 1), (7, 3), (64, 16), (128, 64)] {
            let (picture, groups) = drawn(recorded::AREAS, by, shape);
            let used: u64 = picture.cells.iter().map(|cell| cell.used()).sum();
            assert_eq!(used, value("bytes_used"), "{by:?} {shape:?}");
            assert_eq!(groups.legend().iter().map(|line| line.2).sum::<u64>(), used);
            assert!(picture
                .cells
                .iter()
                .all(|cell| cell.used() <= picture.cell_bytes));
            assert!(picture.cells.len() <= shape.0 * shape.1);
        }
    }
    let (_, groups) = drawn(recorded::AREAS, By::State, (1, 1));
    let of = |name| {
        groups
            .legend()
            .into_iter()
            .find(|line| line.1 == name)
            .unwrap()
            .2
    };
    assert_eq!(of("lazy"), value("bytes_lazy"));
    assert_eq!(of("guard"), value("bytes_guard"));
    assert_eq!(of("live") + of("freed"), value("bytes_live"));
}

#[test]
fn places_and_letters_are_right() {
    let text = line(0, 2, "a") + &line(6, 2, "b");
    let (picture, groups) = drawn(&text, By::Caller, (8, 1));
    assert_eq!(
        terminal::draw(&picture, &groups, false)
            .lines()
            .nth(2)
            .unwrap(),
        "      +0 B AA....BB"
    );
    let (picture, groups) = drawn(&text, By::Caller, (2, 1));
    assert_eq!(
        terminal::draw(&picture, &groups, false)
            .lines()
            .nth(2)
            .unwrap(),
        "      +0 B AB"
    );
    let (picture, groups) = drawn(&text, By::State, (8, 1));
    assert_eq!(
        terminal::draw(&picture, &groups, false)
            .lines()
            .nth(2)
            .unwrap(),
        "      +0 B AB....AB"
    );
}

#[test]
fn a_crowd_of_callers_shares_a_colour() {
    let mut text = String::new();
    for n in 0..20 {
        text += &line(100 * n, 2 + n, &format!("f{n}"));
    }
    let (picture, groups) = drawn(&text, By::Caller, (64, 16));
    let legend = groups.legend();
    assert_eq!(legend.len(), Groups::MOST);
    assert_eq!((&*legend[0].1, &*legend[7].1), ("f19", "(13 others)"));
    let text = terminal::draw(&picture, &groups, true);
    assert!(
        text.contains("\x1b[38;5;32m") && text.contains("\x1b[0m"),
        "{text}"
    );
}

#[test]
fn svg_is_well_formed() {
    let text = recorded::AREAS.replace("keep+", "<&>+");
    for by in [By::State, By::Caller, By::Size] {
        let (picture, groups) = drawn(&text, by, (128, 64));
        let svg = svg::draw(&picture, &groups, by);
        // Each "<" begins a tag; each tag closes itself, or has an end.
        let mut open = Vec::new();
        for tag in svg.split('<').skip(1) {
            let (tag, rest) = tag.split_once('>').unwrap();
            assert!(!rest.contains('>') || open.contains(&"style"), "{rest}");
            let name = tag.split(' ').next().unwrap();
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if tag.ends_with('/') => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
}

#[test]
fn what_cannot_be_drawn_is_named() {
    let error = |text: &str| pieces(&mut text.as_bytes(), By::State).err().unwrap();
    assert_eq!(
        error("0x00000000d8fd3a21-0x000000001b0ea1ef   20480 f+0x1/0x2 pages=4\n"),
        HIDDEN
    );
    assert_eq!(
        error("0x0000000000000000-0x0000000000000000   20480 f+0x1/0x2 pages=4\n"),
        HIDDEN
    );
    assert_eq!(
        error(&(line(9, 2, "a") + &line(1, 2, "b"))),
        "line 2: addresses do not ascend"
    );
    assert_eq!(
        error(&(line(1, 2, "a") + "junk\n")),
        "line 2: \"junk\" is not an area"
    );
    assert_eq!(
        error(line(1, 2, "a").trim_end()),
        "line 1: ends in the middle: the text is cut off"
    );
}

/// A file may come from a kernel with other pages than this one has.
#[test]
fn a_guard_page_is_as_large_as_the_others() {
    let area = |start: u64, bytes: u64, pages: &str| {
        let start = 0xffffc90400000000 + start;
        let end = start + bytes;
        format!("{start:#x}-{end:#x} {bytes:7} f+0x1/0x2{pages} vmap cpu=0\n")
    };
    let of = |text: &str, by| {
        let (_, groups) = drawn(text, by, (4, 4));
        let all = groups.legend().into_iter();
        let all = all.filter(|line| line.2 > 0);
        all.map(|line| (line.1.to_string(), line.2))
            .collect::<Vec<_>>()
    };
    for page in [4096, 16384, 65536] {
        let text = area(0, 5 * page, " pages=4") + &area(5 * page, 2 * page, "");
        let named =
            |words: [(&str, u64); 2]| words.map(|(name, pages)| (name.into(), pages * page));
        assert_eq!(of(&text, By::State), named([("live", 5), ("guard", 2)]));
        let sizes = named([("1 page", 2), ("2 to 4 pages", 5)]);
        assert_eq!(of(&text, By::Size), sizes);
    }
    // Only a part of it is mapped.
    let text = area(0, 5 * 4096, " pages=4") + &area(5 * 4096, 11 * 4096, " pages=3");
    let all: u64 = of(&text, By::State).iter().map(|line| line.1).sum();
    assert_eq!((of(&text, By::State).len(), all), (2, 16 * 4096));
}

#[test]
fn the_arena_is_found() {
    let text = "0xffffc90000000000-0xffffc90000005000   20480 f+0x1/0x2 vmap\n\
                0xffffc90400000000-0xffffc90600001000 8589938688 vc_arena_reserve+0x94/0x150 [vmapcache] sparse\n";
    assert_eq!(
        arena(text).unwrap(),
        (0xffffc90400000000, 0xffffc90600000000)
    );
    assert_eq!(arena(text.lines().next().unwrap()), None);
}

/// A million of these must fit into 100 MB.
#[test]
fn a_piece_is_small() {
    assert!(size_of::<Piece>() <= 24);
}
