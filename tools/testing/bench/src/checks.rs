// SPDX-License-Identifier: GPL-2.0

//! The required result of any line written to bench/run: for the tests, and for the fuzz target `line`.

use crate::line::{parse, Spec};

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
