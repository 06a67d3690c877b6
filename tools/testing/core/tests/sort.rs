// SPDX-License-Identifier: GPL-2.0

//! The module's sort against the standard library's.

#![cfg(not(loom))]

use core_tests::{
    choice::{Choice, Rng},
    sorts::{check, every_order, of_length},
    va::sort::sort_by_key,
};
use proptest::prelude::*;
use std::cmp::Reverse;

#[test]
fn every_order_of_a_few() {
    every_order(7);
}

#[test]
fn long_ones() {
    for len in [100, 1_000, 4_097] {
        of_length(len, 1);
    }
}

#[test]
fn by_a_reverse_key() {
    let mut values = [3u64, 1, u64::MAX, 0, 3];
    sort_by_key(&mut values, |&value| Reverse(value));
    assert_eq!(values, [u64::MAX, 3, 3, 1, 0]);
}

/// An order that contradicts itself: any order comes out, and nothing is lost.
#[test]
fn without_any_order() {
    let mut rng = Rng::new(2);
    for len in 0..200 {
        let mut values: Vec<u32> = (0..len).collect();
        let asked = std::cell::RefCell::new(&mut rng);
        sort_by_key(&mut values, |_| asked.borrow_mut().below(5));
        values.sort();
        assert!(values.into_iter().eq(0..len));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn anything(keys in proptest::collection::vec(any::<u32>(), 0..300)) {
        check(keys);
    }
}
