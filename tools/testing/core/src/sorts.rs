// SPDX-License-Identifier: GPL-2.0

//! Checks that the module's sort puts keys in order and loses none.

use crate::{
    choice::{Choice, Rng},
    collections::Vec,
    knobs,
    va::sort::sort_by_key,
};

/// Sorts these keys, each of them in a value of its own, and checks that they ascend and that no value is
/// lost.
pub fn check(keys: impl IntoIterator<Item = u32>) {
    let values: Vec<(u32, usize)> = keys
        .into_iter()
        .enumerate()
        .map(|(i, key)| (key, i))
        .collect();
    let mut sorted: Vec<_> = values.iter().map(|value| (value.0, value.1)).collect();
    sort_by_key(&mut sorted, |value| value.0);
    assert!(sorted.is_sorted_by_key(|value| value.0), "{sorted:?}");
    let mut seen: Vec<bool> = values.iter().map(|_| false).collect();
    for value in &sorted {
        assert_eq!(*value, values[value.1], "another value");
        assert!(!seen[value.1], "twice the same value");
        seen[value.1] = true;
    }
    assert_eq!(sorted.len(), values.len());
}

/// Each order of up to `most` keys, equal ones among them.
pub fn every_order(most: u32) {
    for len in 0..=most {
        for number in 0..len.pow(len) {
            check((0..len).map(|i| number / len.pow(i) % len));
        }
    }
}

/// `len` keys: in order, in the reverse order, all the same, and at random.
pub fn of_length(len: u32, seed: u64) {
    knobs::begin(seed);
    let mut rng = Rng::new(seed);
    check(0..len);
    check((0..len).rev());
    check((0..len).map(|_| 7));
    check((0..len).map(|_| rng.below(len)));
    check((0..len).map(|_| rng.below(3)));
}
