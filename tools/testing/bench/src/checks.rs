// SPDX-License-Identifier: GPL-2.0

//! The required result of any line written to bench/run, and of any program written to bench/program: for the
//! tests, and for the fuzz targets `line` and `program`.

use crate::{
    line::{parse, Spec},
    program::{self, Live, Move, Slot, CHECKPOINTS, MOST_BYTES, MOST_CPUS, MOST_REQUESTS},
};

/// Parses a line, and checks that the result is possible. Returns whether the line was good.
pub fn check_line(line: &[u8]) -> bool {
    match parse(line) {
        Ok(spec) => {
            check_spec(line, &spec);
            true
        }
        Err(complaint) => {
            // One line, that a terminal can show.
            let text = complaint.to_string();
            assert!(!text.is_empty() && text.len() < 1000, "{text}");
            assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text:?}");
            false
        }
    }
}

fn check_spec(line: &[u8], spec: &Spec) {
    assert!(spec.pages.min >= 1 && spec.pages.min <= spec.pages.max);
    assert!(spec.align.min.is_power_of_two() && spec.align.max.is_power_of_two());
    assert!(spec.threads >= 1 && spec.runs >= 1);
    let line = std::str::from_utf8(line).expect("a good line is text");
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let mut keys = Vec::new();
    for word in &words {
        let (key, value) = word.split_once('=').expect("key=value");
        assert!(!keys.contains(&key), "{key} twice in {line:?}");
        keys.push(key);
        // A number in the line is the number in the result.
        let taken = match key {
            "threads" => spec.threads,
            "writers" => spec.writers,
            "live" => spec.live,
            "lazy" => spec.lazy,
            "runs" => spec.runs,
            "ops" => spec.ops.expect("was given"),
            "ms" => spec.ms,
            "seed" => spec.seed,
            "lazy_max_pages" => spec.switches.lazy_max_pages.expect("was given"),
            "pages" if spec.pages.is_one() && !value.contains('-') => spec.pages.min,
            "latency" | "flushes" | "hold" | "check" | "free_area_cache" | "magazines"
            | "lookup_cache" | "info_cache" => {
                assert!(value == "0" || value == "1", "{word}");
                continue;
            }
            "scenario" | "sides" | "pages" | "align" => continue,
            _ => panic!("{key} was taken for a key"),
        };
        assert!(value.bytes().all(|b| b.is_ascii_digit()), "{word}");
        assert_eq!(value.parse(), Ok(taken), "{word}");
    }
    assert!(keys.contains(&"scenario"));
    // The order of words does not matter.
    let turned = words.into_iter().rev().collect::<Vec<_>>().join(" ");
    assert_eq!(parse(turned.as_bytes()), Ok(*spec));
}

/// Reads a program, and checks that what comes out can happen, by playing it. Returns whether it was good.
pub fn check_program(text: &[u8]) -> bool {
    let said = |complaint: program::Complaint| {
        let text = complaint.to_string();
        assert!(text.starts_with("program") && text.len() < 200, "{text}");
        assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text:?}");
        false
    };
    let count = match program::requests(text) {
        Ok(count) => count,
        Err(complaint) => return said(complaint),
    };
    assert!((1..=MOST_REQUESTS).contains(&count) && text.len() <= MOST_BYTES);
    // No more than there can be lines: the room is not what is tested.
    let room = count.min(text.len());
    let (mut moves, mut slots) = (vec![Move::default(); room], vec![Slot::default(); room]);
    let shape = match program::parse(text, &mut moves, &mut slots, || ()) {
        Ok(shape) => shape,
        Err(complaint) => return said(complaint),
    };
    assert_eq!(shape.requests, count);
    let (mut live, mut most) = (Live::default(), Live::default());
    let mut state = vec![0u8; shape.allocations];
    let mut next = 0;
    let mut seen = [Live::default(); CHECKPOINTS];
    for (done, step) in moves.iter().enumerate() {
        assert!(step.cpu < shape.cpus && shape.cpus <= MOST_CPUS);
        let slot = step.slot as usize;
        let pages = u64::from(slots[slot].pages);
        if step.frees {
            assert_eq!(state[slot], 1, "frees what does not live");
            state[slot] = 2;
            live.areas -= 1;
            live.pages -= pages;
        } else {
            assert!(slot == next && pages > 0 && slots[slot].align.is_power_of_two());
            next += 1;
            state[slot] = 1;
            live.areas += 1;
            live.pages += pages;
        }
        most.areas = most.areas.max(live.areas);
        most.pages = most.pages.max(live.pages);
        for (n, seen) in seen.iter_mut().enumerate() {
            if (n + 1) * count / CHECKPOINTS == done + 1 {
                *seen = live;
            }
        }
    }
    assert_eq!(
        (next, shape.most, shape.live),
        (shape.allocations, most, seen)
    );
    assert_eq!(shape.live[CHECKPOINTS - 1], live);
    for (slot, state) in slots.iter().zip(state) {
        assert_eq!(slot.freed, state == 2);
    }
    true
}
