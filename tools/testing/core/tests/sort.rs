// SPDX-License-Identifier: GPL-2.0

//! The module's sort against the standard library's.

#![cfg(not(loom))]

use core_tests::{
    choice::{Choice, Rng},
    va::sort::sort_by_key,
};
use proptest::prelude::*;
use std::cmp::Reverse;

/// Sorts, and checks that the keys ascend and that no value is lost.
fn check(values: &[(u32, usize)]) {
    let mut sorted = values.to_vec();
    sort_by_key(&mut sorted, |value| value.0);
    assert!(sorted.is_sorted_by_key(|value| value.0), "{sorted:?}");
    let mut wanted = values.to_vec();
    wanted.sort();
    sorted.sort();
    assert_eq!(sorted, wanted, "not the same values");
}

/// The keys of `values`, each with a number that makes it another value.
fn numbered(keys: impl IntoIterator<Item = u32>) -> Vec<(u32, usize)> {
    keys.into_iter()
        .enumerate()
        .map(|(i, key)| (key, i))
        .collect()
}

/// Each order of up to 7 keys, equal ones among them.
#[test]
fn every_order_of_a_few() {
    for len in 0..=7u32 {
        for number in 0..len.pow(len) {
            check(&numbered((0..len).map(|i| number / len.pow(i) % len)));
        }
    }
}

#[test]
fn long_ones() {
    let mut rng = Rng::new(1);
    for len in [100, 1_000, 4_097] {
        check(&numbered(0..len));
        check(&numbered((0..len).rev()));
        check(&numbered((0..len).map(|_| 7)));
        check(&numbered((0..len).map(|_| rng.below(len))));
        check(&numbered((0..len).map(|_| rng.below(3))));
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
        check(&numbered(keys));
    }
}
