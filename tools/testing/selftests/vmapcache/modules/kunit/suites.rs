// SPDX-License-Identifier: GPL-2.0

//! vmapcache_kunit.ko: the property tests of rust/va as KUnit suites, upon the kernel's own locks,
//! memory, CPUs and preemption. The tests are those of the host, file by file (tools/testing/core/src).
//!
//! The module has rust/va and rust/sys a second time, and nothing to do with a loaded vmapcache.ko.
//! There are no pages, page tables and flushes behind its managers: tools/testing/core/src/env.rs
//! stands for them.

use kernel::prelude::*;

/// C, as bindgen sees it: kunit.h.
#[allow(
    clippy::all,
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    unreachable_pub
)]
mod bindings {
    include!(env!("VMAPCACHE_KUNIT_BINDINGS"));
}
#[path = "../../../../../../rust/sys/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod sys;
#[path = "../../../../../../rust/va/mod.rs"]
#[allow(dead_code, unreachable_pub, unused_imports)]
mod va;

#[allow(dead_code, unreachable_pub)]
mod collections;
#[allow(dead_code, unreachable_pub)]
mod knobs;

#[allow(dead_code, unreachable_pub)]
mod shared;

// Where the files of `shared` look for each other.
#[allow(unused_imports, reason = "a kernel without KUnit has no suites")]
use shared::{choice, env, first_fit, flushes, look::look, model, pair, rows, sorted, sorts};

module! {
    type: Suites,
    name: "vmapcache_kunit",
    authors: ["vmapcache developers"],
    description: "The property tests of vmapcache's area manager as KUnit suites",
    license: "GPL",
}

/// The loaded module. KUnit finds the suites and runs them.
struct Suites;

impl kernel::Module for Suites {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

/// The module's sort: the keys ascend, and no value is lost.
#[kunit_tests(vmapcache_sort)]
mod sort {
    use crate::sorts::{every_order, of_length};

    #[test]
    fn every_order_of_a_few() {
        every_order(5);
    }

    #[test]
    fn long_ones() {
        for (seed, len) in (1..).zip([100, 1_000]) {
            of_length(len, seed);
        }
    }
}

/// The tree of extents: the same as a sorted vector.
#[kunit_tests(vmapcache_tree)]
mod tree {
    use crate::sorted::{differential, GROUNDS};

    #[test]
    fn same_as_a_sorted_vector() {
        for (seed, ground) in (1..).zip(&GROUNDS) {
            differential(seed, ground, 400);
        }
    }
}

/// The free extents: the same addresses as a plain linear first fit gives.
#[kunit_tests(vmapcache_extents)]
mod extents {
    use crate::pair::{differential, CacheUse, MIXES};

    fn all_mixes(cache: CacheUse) {
        for (seed, mix) in (1..).zip(&MIXES) {
            differential(seed, mix, 1_500, cache);
        }
    }

    #[test]
    fn same_as_linear_first_fit_with_cache() {
        all_mixes(CacheUse::On);
    }

    #[test]
    fn same_as_linear_first_fit_without_cache() {
        all_mixes(CacheUse::Off);
    }

    #[test]
    fn same_as_linear_first_fit_cache_toggled() {
        all_mixes(CacheUse::Toggled);
    }
}

/// The flush planner: it flushes what it must, and no other page.
#[kunit_tests(vmapcache_planner)]
mod planner {
    use crate::flushes::at_random;

    #[test]
    fn flushes_what_it_must() {
        at_random(1, 2_000);
    }
}

/// The whole manager, beside its model.
#[kunit_tests(vmapcache_manager)]
mod manager {
    use crate::model::run;

    // KUnit gives each test 300 seconds, and an emulated machine may be busy.
    fn seeds(seeds: core::ops::RangeInclusive<u64>) {
        for seed in seeds {
            run(seed, 500, false);
        }
    }

    #[test]
    fn same_as_its_model_seeds_1_to_3() {
        seeds(1..=3);
    }

    #[test]
    fn same_as_its_model_seeds_4_to_6() {
        seeds(4..=6);
    }
}

/// Readers of /proc/vmapcacheinfo, while areas come and go.
#[kunit_tests(vmapcache_rows)]
mod readers {
    use crate::rows::run;

    #[test]
    fn each_row_once() {
        for seed in 1..=4 {
            run(seed, 400);
        }
    }
}
