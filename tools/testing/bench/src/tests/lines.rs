// SPDX-License-Identifier: GPL-2.0

//! Lines for bench/run: good ones, bad ones, and 200,000 of any kind.

use crate::{
    catalog::{Scenario, SideName, CATALOG},
    checks::check_line,
    line::{parse, Span, Why, MAX_LINE},
    rng::Rng,
};

fn why(line: &str) -> Why {
    parse(line.as_bytes()).expect_err(line).why
}

fn says(line: &str) -> String {
    parse(line.as_bytes()).expect_err(line).to_string()
}

#[test]
fn a_scenario_is_enough() {
    for entry in CATALOG {
        let line = format!("scenario={}\n", entry.name);
        let spec = parse(line.as_bytes()).expect(entry.name);
        assert_eq!(spec.scenario, entry.scenario);
        assert!(spec.sides().count() > 0, "{} has no side", entry.name);
        assert!(spec.sides().all(|side| side.bit() & entry.sides != 0));
        assert!(spec.runs >= 5);
    }
}

#[test]
fn all_keys_arrive() {
    let line =
        "scenario=va_only sides=vmapcache,fake pages=1-256 align=4-64 threads=3 live=100000 \
                runs=7 ops=1000 ms=20 seed=9 latency=0 flushes=0 hold=0 check=0 \
                free_area_cache=0 magazines=1 lookup_cache=0 info_cache=1 lazy_max_pages=0";
    let spec = parse(line.as_bytes()).expect(line);
    assert_eq!(spec.scenario, Scenario::VaOnly);
    let sides: Vec<_> = spec.sides().collect();
    assert_eq!(sides, [SideName::Vmapcache, SideName::Fake]);
    assert_eq!(spec.pages, Span { min: 1, max: 256 });
    assert_eq!(spec.align, Span { min: 4, max: 64 });
    assert_eq!((spec.threads, spec.live, spec.runs), (3, 100_000, 7));
    assert_eq!((spec.ops, spec.ms, spec.seed), (Some(1000), 20, 9));
    assert!(!spec.latency && !spec.flushes && !spec.hold && !spec.check);
    assert_eq!(spec.switches.free_area_cache, Some(false));
    assert_eq!(spec.switches.magazines, Some(true));
    assert_eq!(spec.switches.lookup_cache, Some(false));
    assert_eq!(spec.switches.info_cache, Some(true));
    assert_eq!(spec.switches.lazy_max_pages, Some(0));
}

#[test]
fn a_program_says_threads_and_sizes() {
    for word in [
        "threads=1",
        "ops=1",
        "ms=1",
        "seed=1",
        "pages=1",
        "align=1",
        "live=1",
        "lazy=1",
        "writers=1",
    ] {
        let text = says(&format!("scenario=replay {word}"));
        let key = word.split('=').next().unwrap();
        assert_eq!(text, format!("{key}: not taken by scenario=replay"));
    }
    assert_eq!(
        says("scenario=replay sides=fake"),
        "fake: cannot run scenario=replay"
    );
}

#[test]
fn what_is_wrong_is_named() {
    assert_eq!(why(""), Why::Empty);
    assert_eq!(why(" \t\n"), Why::Empty);
    assert_eq!(why("pages=1"), Why::NoScenario);
    assert_eq!(why("scenario=vmap\nscenario=vmap"), Why::SecondLine);
    assert_eq!(why("scenario=vmap\0"), Why::NotText);
    assert_eq!(why("scenario"), Why::NoEquals);
    assert_eq!(why("scenario=vmap scenario=vmap"), Why::Twice);
    assert_eq!(why("scenario=vmap page=1"), Why::UnknownKey);
    assert_eq!(why("scenario=vmap pages="), Why::NotANumber);
    assert_eq!(why("scenario=vmap pages=+1"), Why::NotANumber);
    assert_eq!(why("scenario=vmap pages=0x10"), Why::NotANumber);
    let as_long = |length: usize| format!("scenario=vmap{}", " ".repeat(length - 13));
    assert!(parse(as_long(MAX_LINE).as_bytes()).is_ok());
    assert_eq!(why(&as_long(MAX_LINE + 1)), Why::TooLong);
    assert_eq!(why("scenario=vmap pages=0"), Why::Range(1, 65_536));
    assert_eq!(why("scenario=vmap runs=65"), Why::Range(1, 64));
    assert!(parse(b"scenario=vmap runs=64 pages=65536").is_ok());
    assert_eq!(
        why("scenario=vmap runs=99999999999999999999"),
        Why::Range(1, 64)
    );
    assert_eq!(why("scenario=va_only pages=9-3"), Why::Backwards);
    assert_eq!(why("scenario=va_only align=3"), Why::NotAPowerOfTwo);
    assert_eq!(why("scenario=vmap check=yes"), Why::NotABool);
    assert_eq!(why("scenario=vmap sides=slab"), Why::UnknownSide);
    assert_eq!(why("scenario=vmap sides=fake,fake"), Why::TooManySides);
    assert_eq!(
        why("scenario=vmap sides=in-tree,vmapcache,vm_map_ram,fake,fake2"),
        Why::TooManySides
    );
    assert_eq!(
        why("scenario=va_only sides=vm_map_ram"),
        Why::SideCannot("va_only")
    );
    assert_eq!(why("scenario=vmap align=2"), Why::NotTaken("vmap"));
    assert_eq!(why("scenario=vmap writers=1"), Why::NotTaken("vmap"));
    assert_eq!(why("scenario=vmap pages=1-2"), Why::NoRandom("vmap"));
    assert_eq!(why("scenario=bare_map live=1"), Why::NotTaken("bare_map"));
    assert_eq!(
        why("scenario=full_fit_alloc_test pages=1"),
        Why::NotTaken("full_fit_alloc_test")
    );
    assert_eq!(
        why("scenario=lookup_start live=0"),
        Why::Range(1, 4_000_000)
    );
    assert_eq!(
        why("scenario=producer_consumer threads=3"),
        Why::Odd("producer_consumer")
    );
    assert_eq!(
        why("scenario=vmap sides=in-tree magazines=0"),
        Why::NoSideWithSwitches
    );
    assert_eq!(why("scenario=vmap lazy=1"), Why::NotTaken("vmap"));
    assert_eq!(why("scenario=purge lazy=0"), Why::Range(1, 1_000_000));
    assert_eq!(why("scenario=lazy_search threads=2"), Why::Range(1, 1));
    assert_eq!(
        why("scenario=lazy_search magazines=1"),
        Why::Needs("magazines=0")
    );
    assert_eq!(
        why(&format!("scenario=vmap{}", " ".repeat(MAX_LINE))),
        Why::TooLong
    );
    assert_eq!(parse(b"scenario=\xff").unwrap_err().why, Why::NotText);

    assert_eq!(says("scenario=vmap pages=0"), "pages=0: must be 1 to 65536");
    assert_eq!(says("scenario=vmap size=4"), "size=4: no such key");
    assert!(says("scenario=vma").starts_with("scenario=vma: no such scenario; there are: va_only "));
    assert_eq!(
        says("scenario=producer_consumer threads=1"),
        "threads: scenario=producer_consumer needs pairs: an even number"
    );
}

/// Ten passes of 100 operations leave three pages each, the lazy areas two.
#[test]
fn nothing_is_purged_in_a_search() {
    let line = "scenario=lazy_search lazy=1000 ops=100 runs=5 lazy_max_pages=";
    let spec = parse(format!("{line}5000").as_bytes()).expect(line);
    assert_eq!((spec.lazy, spec.switches.magazines), (1_000, Some(false)));
    assert_eq!(why(&format!("{line}4999")), Why::Range(5_000, u32::MAX));
}

#[test]
fn bytes_of_any_kind() {
    let mut rng = Rng::new(1, 0);
    for _ in 0..100_000 {
        let length = rng.within(0, MAX_LINE as u32 + 8) as usize;
        let line: Vec<u8> = (0..length).map(|_| rng.next() as u8).collect();
        check_line(&line);
    }
}

#[test]
fn words_of_any_kind() {
    const KEYS: &str =
        "scenario sides pages align threads writers live lazy runs ops ms seed latency \
        flushes hold check free_area_cache magazines lookup_cache info_cache lazy_max_pages \
        page = scenario=";
    const VALUES: &str = "0 1 2 4 3 -1 1-4 4-1 1-1 64 4096 4294967295 4294967296 in-tree vmapcache \
        fake in-tree,vmapcache fake,fake , - = va_only vmap lookup_start producer_consumer bare_map";
    let keys: Vec<&str> = KEYS.split_ascii_whitespace().collect();
    let values: Vec<&str> = VALUES.split_ascii_whitespace().collect();
    let mut rng = Rng::new(2, 0);
    let mut good = 0;
    for _ in 0..100_000 {
        let mut line = String::new();
        if rng.within(0, 3) != 0 {
            let entry = &CATALOG[rng.within(0, CATALOG.len() as u32 - 1) as usize];
            line = format!("scenario={} ", entry.name);
        }
        for _ in 0..rng.within(0, 4) {
            let key = keys[rng.within(0, keys.len() as u32 - 1) as usize];
            let value = values[rng.within(0, values.len() as u32 - 1) as usize];
            line += &format!("{key}={value} ");
        }
        good += u32::from(check_line(line.as_bytes()));
    }
    assert!(
        good > 10_000,
        "only {good} good lines: the vocabulary is too wild"
    );
}
