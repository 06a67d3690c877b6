// SPDX-License-Identifier: GPL-2.0

//! The whole manager against a plain list of what must be so.

#![cfg(not(loom))]

use core_tests::{
    choice::{Bytes, Rng},
    env::TestEnv,
    model::Model,
    va::{
        mem::{fail_nth, NoMemory},
        Config, Manager,
    },
};
use proptest::prelude::*;

fn run(seed: u64, steps: u32, inject: bool) {
    let mut rng = Rng::new(seed);
    let mut model = Model::new(&mut rng, inject);
    for _ in 0..steps {
        model.step(&mut rng);
    }
    model.finish();
}

#[test]
fn random_operations() {
    for seed in 0..60 {
        run(seed, 4_000, false);
    }
}

#[test]
fn random_operations_while_memory_fails() {
    for seed in 1_000..1_060 {
        run(seed, 4_000, true);
    }
}

/// Whichever allocation of the set-up fails: the manager is not made, and says why.
#[test]
fn no_memory_at_the_start() {
    let config = Config {
        pages: 1 << 12,
        cpus: 2,
        shards: 2,
        lazy_max_pages: 100,
        flush_ceiling: 33,
    };
    let mut nth = 0;
    loop {
        nth += 1;
        fail_nth(nth);
        let made = Manager::new(config, TestEnv::new(config.pages)).err();
        fail_nth(0);
        if made.is_none() {
            break;
        }
        assert_eq!(made, Some(NoMemory));
    }
    assert!(nth > 20, "only {nth}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn sequences_of_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600), inject: bool) {
        let mut bytes = Bytes(&bytes);
        let mut model = Model::new(&mut bytes, inject);
        while !bytes.is_empty() {
            model.step(&mut bytes);
        }
        model.finish();
    }
}
