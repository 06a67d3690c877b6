// SPDX-License-Identifier: GPL-2.0

//! The matrix of measurements: the lines for each question.

use crate::record::{Setting, Switches};

/// How much of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Demo,
    Quick,
    Whole,
    /// For a clock that counts instructions: short runs, one thread.
    Instructions,
}

/// One line for bench/run.
pub struct Line {
    pub words: String,
    /// All switches during the measurement.
    pub switches: Switches,
    /// Its share of the time.
    pub weight: usize,
}

/// The switches of vmapcache, by the names of bench/run.
pub const SWITCHES: [&str; 4] = ["free_area_cache", "magazines", "lookup_cache", "info_cache"];

fn line(words: &str, length: &str, module: &Switches) -> Line {
    let mut switches = module.clone();
    for (key, value) in words.split(' ').filter_map(|word| word.split_once('=')) {
        if SWITCHES.contains(&key) {
            switches.insert(key.into(), Setting::Flag(value == "1"));
        } else if key == "lazy_max_pages" {
            let pages = value.parse().unwrap_or(0);
            switches.insert(key.into(), Setting::Number(pages));
        }
    }
    let sides = match words.split_once("sides=") {
        Some((_, rest)) => 1 + rest.split(' ').next().map_or(0, |s| s.matches(',').count()),
        None if words.contains("=bare_") || words.contains("=lazy_search") => 1,
        None => 2,
    };
    // Making and freeing the live areas takes time, too.
    let live = if words.contains("live=1000000") { 8 } else { 0 };
    Line {
        words: format!("{words} {length}"),
        switches,
        weight: sides + live,
    }
}

/// The settings of the matrix whose instructions are counted.
fn counted() -> Vec<String> {
    let mut words = Vec::new();
    for pages in [1, 4, 64] {
        words.push(format!("scenario=va_only pages={pages}"));
        words.push(format!(
            "scenario=vmap pages={pages} sides=in-tree,vmapcache,vm_map_ram"
        ));
        words.push(format!("scenario=vmalloc pages={pages}"));
        words.push(format!("scenario=bare_map pages={pages}"));
        words.push(format!("scenario=bare_page pages={pages}"));
    }
    for scenario in ["lookup_start", "lookup_inside", "lookup_miss"] {
        words.push(format!("scenario={scenario} live=100000 writers=0"));
    }
    words.push("scenario=va_only pages=1 sides=vmapcache magazines=0".into());
    words
}

/// All lines, in the order of the questions. `module` has the switches for lines that do not set
/// them.
pub fn lines(extent: Extent, module: &Switches) -> Vec<Line> {
    if extent == Extent::Instructions {
        // The least of many short runs: interrupts add to some of them only.
        let passes = "runs=64 latency=0 flushes=0 hold=0 check=0";
        let words = counted().into_iter().map(|w| format!("{w} {passes}"));
        return words.map(|words| line(&words, "ms=1", module)).collect();
    }
    let demo = extent == Extent::Demo;
    let whole = extent == Extent::Whole;
    let length = match extent {
        Extent::Whole => "ms=150",
        Extent::Quick => "ms=60 runs=7",
        _ => "ms=60",
    };
    let cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut words: Vec<String> = Vec::new();
    let mut add = |text: String| {
        if !words.contains(&text) {
            words.push(text);
        }
    };

    // Fast path.
    let pages: &[u32] = if whole {
        &[1, 4, 16, 64, 256, 1024]
    } else {
        &[1, 4, 64]
    };
    for pages in pages {
        add(format!("scenario=va_only pages={pages}"));
    }
    for pages in pages {
        if demo {
            add(format!("scenario=vmap pages={pages}"));
        } else {
            add(format!(
                "scenario=vmap pages={pages} sides=in-tree,vmapcache,vm_map_ram"
            ));
        }
    }
    for pages in pages {
        add(format!("scenario=vmalloc pages={pages}"));
    }
    if demo {
        add("scenario=lookup_start".into());
        add("scenario=lookup_miss".into());
        return words
            .iter()
            .map(|words| line(words, length, module))
            .collect();
    }
    add("scenario=va_only pages=1-256 align=1-256".into());
    add("scenario=producer_consumer".into());

    // Scaling with threads.
    let threads = [2, cpus, 2 * cpus];
    for threads in threads.into_iter().filter(|t| *t > 1) {
        add(format!("scenario=va_only pages=1 threads={threads}"));
        if whole {
            add(format!("scenario=vmap pages=1 threads={threads}"));
            add(format!("scenario=vmalloc pages=1 threads={threads}"));
        }
    }

    // Growth with live areas.
    let live: &[u32] = if whole {
        &[100, 10_000, 100_000, 1_000_000]
    } else {
        &[10_000, 100_000]
    };
    for live in live {
        add(format!("scenario=va_only pages=1 live={live}"));
        if whole {
            add(format!("scenario=vmap pages=1 live={live}"));
        }
    }

    // Lookup.
    let live: &[u32] = if whole { &[1_000, 100_000] } else { &[100_000] };
    for live in live {
        for scenario in ["lookup_start", "lookup_inside", "lookup_miss"] {
            let both = whole || scenario == "lookup_start";
            for writers in if both { &[0, 1][..] } else { &[0][..] } {
                add(format!("scenario={scenario} live={live} writers={writers}"));
            }
        }
    }

    // Readers beside writers. A read takes as long as many runs of the others.
    let live: &[u32] = if whole { &[1_000, 10_000] } else { &[1_000] };
    for live in live {
        add(format!("scenario=info_read live={live} writers=1"));
    }

    // Purging.
    add("scenario=purge ops=1".into());

    // The regression that the free-area cache cures. The slowest needs milliseconds per allocation.
    let lazy: &[u32] = if whole {
        &[100, 1_000, 10_000, 100_000]
    } else {
        &[100, 1_000, 10_000]
    };
    for lazy in lazy {
        for cache in [1, 0] {
            add(format!(
                "scenario=lazy_search lazy={lazy} ops=200 magazines=0 lazy_max_pages=1000000 \
                 free_area_cache={cache} hold=0"
            ));
        }
    }

    // Ablation: each idea off, where it should matter. The lines above are the comparison.
    for off in ["free_area_cache", "magazines"] {
        add(format!("scenario=va_only pages=1 sides=vmapcache {off}=0"));
        add(format!(
            "scenario=va_only pages=1-256 align=1-256 sides=vmapcache {off}=0"
        ));
    }
    add("scenario=va_only pages=1 sides=vmapcache magazines=0 free_area_cache=0".into());
    add("scenario=lookup_inside live=100000 writers=0 sides=vmapcache lookup_cache=0".into());
    let lazy: &[u32] = if whole {
        &[0, 64, 1024, 4096, 65_536]
    } else {
        &[0, 1024]
    };
    for pages in lazy {
        add(format!(
            "scenario=vmap pages=1 sides=vmapcache lazy_max_pages={pages}"
        ));
    }

    // Distance to the limit.
    for pages in pages {
        add(format!("scenario=bare_map pages={pages}"));
        add(format!("scenario=bare_page pages={pages}"));
    }

    // lib/test_vmalloc.c.
    for test in [
        "fix_size_alloc_test",
        "full_fit_alloc_test",
        "long_busy_list_alloc_test",
        "random_size_alloc_test",
        "fix_align_alloc_test",
        "random_size_align_alloc_test",
        "align_shift_alloc_test",
        "vm_map_ram_test",
        "no_block_alloc_test",
        "vrealloc_test",
    ] {
        // Filling the address space takes longer than measuring in it.
        match test {
            "full_fit_alloc_test" if !whole => add(format!("scenario={test} ops=4000")),
            _ => add(format!("scenario={test}")),
        }
    }
    words
        .iter()
        .map(|words| line(words, length, module))
        .collect()
}
