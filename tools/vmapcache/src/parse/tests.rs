// SPDX-License-Identifier: GPL-2.0

//! The parsers on what a module printed, and on what no module prints.

use super::*;
use proptest::prelude::*;

pub const STATS: &str = include_str!("../../recorded/stats");
pub const INFO: &str = include_str!("../../recorded/info");
pub const CALLERS: &str = include_str!("../../recorded/callers");
pub const AREAS: &str = include_str!("../../recorded/areas");
const TAKEOVER: &str = include_str!("../../recorded/takeover-stats");

fn number_of(pairs: &[(&str, Value)], wanted: &str) -> u64 {
    match pairs.iter().find(|(key, _)| *key == wanted) {
        Some((_, Value::Number(number))) => *number,
        other => panic!("{wanted}: {other:?}"),
    }
}

#[test]
fn recorded_files_agree_with_each_other() {
    let (stats, info) = (counters(STATS).unwrap(), counters(INFO).unwrap());
    let callers = callers(CALLERS).unwrap();
    assert_eq!(callers.columns, ["bytes", "areas", "allocations", "frees"]);
    let sum = |column: usize| {
        callers
            .callers
            .iter()
            .map(|c| c.numbers[column])
            .sum::<u64>()
    };
    assert_eq!(sum(0), number_of(&info, "bytes_live"));
    assert_eq!(sum(1), number_of(&stats, "areas"));
    let areas = areas(AREAS).unwrap();
    let bytes = |lazy| -> u64 {
        let some = areas
            .iter()
            .filter(|area| (area.state == State::Lazy) == lazy);
        some.map(|area| area.bytes).sum()
    };
    assert_eq!(bytes(true), number_of(&info, "bytes_lazy"));
    assert_eq!(
        bytes(false),
        number_of(&info, "bytes_live") + number_of(&info, "bytes_guard")
    );
    assert!(areas.iter().all(|area| area.end - area.start == area.bytes));
    assert!(areas.windows(2).all(|pair| pair[0].end <= pair[1].start));
    counters(TAKEOVER).unwrap();
}

#[test]
fn a_line_of_areas_has_parts() {
    let line =
        "0x00000000d8fd3a21-0x000000001b0ea1ef   20480 some_function+0x36/0x90 [some_module] \
                pages=4 vmalloc vpages N0=1 N1=3 pinned=2 freed cpu=1";
    let found = area(line).unwrap();
    let wanted = Area {
        start: 0xd8fd3a21,
        end: 0x1b0ea1ef,
        bytes: 20480,
        function: Some("some_function"),
        offset: Some("0x36/0x90"),
        module: Some("some_module"),
        kind: "vmalloc",
        state: State::Freed,
        pages: Some(4),
        pins: 2,
        cpu: Some(1),
        nodes: "N0=1 N1=3",
    };
    assert_eq!(found, wanted);
    let lazy = area("0x1-0x2   12288 unpurged vm_area lazy").unwrap();
    assert_eq!(
        (lazy.state, lazy.function, lazy.kind),
        (State::Lazy, None, "")
    );
    let ram = area("0x1-0x2    8192 vm_map_ram cpu=0").unwrap();
    assert_eq!(
        (ram.function, ram.kind, ram.cpu),
        (None, "vm_map_ram", Some(0))
    );
    // The in-tree file, and words of a version to come.
    let io =
        area("0x1-0x2    8192 acpi_os_map+0x1/0x2 phys=0x00000000fed00000 ioremap new").unwrap();
    assert_eq!((io.function, io.kind), (Some("acpi_os_map"), "ioremap"));
    let unknown = area("0x1-0x2    8192 unknown pages=1 vmalloc").unwrap();
    assert_eq!((unknown.function, unknown.offset), (Some("unknown"), None));
}

#[test]
fn what_no_kernel_prints_is_no_area() {
    for line in [
        "",
        "x",
        "0x1-0x2",
        "0x1-0x2 many f",
        "0x1-0x2 -4096 f",
        "0x1 0x2 4096 f",
        "0x+1-0x2 4096 f",
        "0x1-0x2 4096 f pages=x",
        "0x11111111111111111-0x2 4096 f",
    ] {
        assert_eq!(area(line), None, "{line}");
    }
}

#[test]
fn keys_and_columns_of_a_version_to_come_are_taken() {
    let text = "bytes_arena 1\nnew_key 7\nnew_word yes\n";
    assert_eq!(counters(text).unwrap()[1], ("new_key", Value::Number(7)));
    let text = "# bytes areas pins function\n1 2 3 f [m]\n";
    let found = callers(text).unwrap();
    assert_eq!(found.callers[0].numbers, [1, 2, 3]);
    assert_eq!(found.callers[0].module, Some("m"));
}

/// Every text of the module, cut off at any place, is either whole lines or named as cut off.
#[test]
fn cut_off_texts_are_named() {
    for text in [STATS, INFO, CALLERS, AREAS] {
        for end in 1..text.len() {
            let part = &text[..end];
            let all = [
                counters(part).is_ok(),
                callers(part).is_ok(),
                areas(part).is_ok(),
            ];
            assert!(part.ends_with('\n') || all == [false; 3], "{part}");
        }
    }
}

/// Each parser takes its own file and no other's.
#[test]
fn files_are_not_mistaken() {
    for (n, text) in [STATS, CALLERS, AREAS].into_iter().enumerate() {
        let all = [
            counters(text).is_ok(),
            callers(text).is_ok(),
            areas(text).is_ok(),
        ];
        assert!(
            all.into_iter().enumerate().all(|(k, ok)| ok == (n == k)),
            "{n}: {all:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_text_breaks_a_parser(text in "(?s).{0,200}") {
        let _ = (counters(&text), callers(&text), areas(&text));
    }

    #[test]
    fn no_damage_breaks_a_parser(which in 0..4usize, at in 0.0..1.0, new in "[ -~\n]{0,4}", cut in 0..8usize) {
        let text = [STATS, INFO, CALLERS, AREAS][which];
        let from = (at * text.len() as f64) as usize;
        let mut text = text.to_string();
        text.replace_range(from..(from + cut).min(text.len()), &new);
        for wrong in [counters(&text).err(), callers(&text).err(), areas(&text).err()].into_iter().flatten() {
            prop_assert!(wrong.line <= text.lines().count());
            prop_assert!(wrong.to_string().len() < 300);
        }
    }

    #[test]
    fn what_is_printed_is_read_back(
        start in any::<u32>(), pages in 1..1000u64, pins in 0..9u64, cpu in 0..512u64, lazy: bool,
        name in "[a-z_][a-z0-9_.]{0,20}",
    ) {
        prop_assume!(!["unpurged", "user", "vmap", "vmalloc", "sparse", "ioremap", "vm_map_ram"].contains(&&*name));
        let (start, bytes) = (u64::from(start) << 12, (pages + 1) << 12);
        let mut line = format!("{start:#018x}-{:#018x} {bytes:7}", start + bytes);
        line += &match lazy {
            true => " unpurged vm_area lazy".to_string(),
            false => format!(" {name}+0x1/0x2 pages={pages} vmap N0={pages} pinned={pins} cpu={cpu}"),
        };
        let found = area(&line).unwrap();
        prop_assert_eq!((found.start, found.end, found.bytes), (start, start + bytes, bytes));
        if lazy {
            prop_assert_eq!((found.state, found.function), (State::Lazy, None));
        } else {
            prop_assert_eq!((found.function, found.pages, found.pins), (Some(&*name), Some(pages), pins));
            prop_assert_eq!((found.kind, found.cpu, found.state), ("vmap", Some(cpu), State::Live));
        }
    }
}
