// SPDX-License-Identifier: GPL-2.0

//! Histogram and statistics against sorted lists.

use crate::{
    histogram::{Histogram, BUCKETS},
    rng::Rng,
    statistics::{sort, summary, Picos},
};

fn empty() -> Histogram<Vec<u32>> {
    Histogram::new(vec![0; BUCKETS])
}

#[test]
fn small_values_are_exact() {
    let mut h = empty();
    (1..=60).for_each(|v| h.add(v));
    assert_eq!((h.at(5_000), h.at(9_900), h.at(10_000)), (30, 60, 60));
    assert_eq!((h.count(), h.max()), (60, 60));
}

#[test]
fn of_nothing_all_is_zero() {
    assert_eq!(
        (empty().at(5_000), empty().max(), empty().count()),
        (0, 0, 0)
    );
}

#[test]
fn quantiles_are_within_the_resolution() {
    let mut rng = Rng::new(1, 0);
    for round in 0..50 {
        let (mut h, mut other, mut all) = (empty(), empty(), Vec::new());
        for i in 0..rng.within(1, 5_000) {
            // From nanoseconds to minutes.
            let value = rng.next() >> rng.within(26, 63);
            if i % 2 == 0 { &mut h } else { &mut other }.add(value);
            all.push(value);
        }
        h.merge(&other);
        all.sort_unstable();
        assert_eq!(
            (h.count(), h.max()),
            (all.len() as u64, *all.last().unwrap())
        );
        for share in [1, 10, 5_000, 9_900, 9_990, 9_999, 10_000] {
            let rank = (all.len() as u64 * share).div_ceil(10_000).max(1) as usize;
            let (exact, got) = (all[rank - 1], h.at(share as u32));
            assert!(
                got >= exact && got - exact <= exact / 32,
                "round {round}: {share} of 10,000 is {got}, not {exact}"
            );
        }
    }
}

#[test]
fn values_beyond_the_last_bucket_count() {
    let mut h = empty();
    h.add(u64::MAX);
    h.add(1);
    assert_eq!((h.count(), h.max(), h.at(5_000)), (2, u64::MAX, 1));
    assert!(h.at(9_990) > 1 << 39);
    // The last bucket counts them; they are not only known as the largest.
    h.add(u64::MAX);
    assert!((1 << 39..u64::MAX).contains(&h.at(5_000)));
}

#[test]
fn medians() {
    let picos = |list: &[u64]| list.iter().map(|n| Picos(*n)).collect::<Vec<_>>();
    let of = |list: &[u64]| summary(&mut picos(list));
    assert_eq!(of(&[]), Default::default());
    assert_eq!(of(&[7]).median, Picos(7));
    assert_eq!(of(&[9, 1, 5]).median, Picos(5));
    assert_eq!(of(&[9, 1, 5, 8]).median, Picos(6));
    let all = of(&[5, 900, 3, 4, 6]);
    assert_eq!(
        (all.min, all.median, all.max),
        (Picos(3), Picos(5), Picos(900))
    );
}

#[test]
fn sorting() {
    let mut rng = Rng::new(3, 0);
    for length in 0..50 {
        let mut list: Vec<u32> = (0..length).map(|_| rng.within(0, 20)).collect();
        let mut expected = list.clone();
        expected.sort_unstable();
        sort(&mut list);
        assert_eq!(list, expected);
    }
}

#[test]
fn times_per_operation() {
    assert_eq!(Picos::per_op(1_000, 3), Picos(333_333));
    assert_eq!(Picos::per_op(1_000, 0), Picos(0));
    assert_eq!(Picos::per_op(u64::MAX, 1), Picos(u64::MAX));
    let shown = |n| Picos(n).to_string();
    assert_eq!((shown(333_333), shown(0)), ("333.33".into(), "0.00".into()));
    assert_eq!(
        (shown(1_995), shown(999_999)),
        ("2.00".into(), "1000.00".into())
    );
}

#[test]
fn random_numbers_repeat_and_fill_their_range() {
    let mut seen = [0u32; 10];
    let (mut a, mut b) = (Rng::new(7, 1), Rng::new(7, 1));
    for _ in 0..10_000 {
        let n = a.within(5, 14);
        assert_eq!(n, b.within(5, 14));
        seen[n as usize - 5] += 1;
    }
    assert!(seen.iter().all(|n| (800..1200).contains(n)), "{seen:?}");
    assert_ne!(Rng::new(7, 1).next(), Rng::new(7, 2).next());
    assert_eq!(a.within(3, 3), 3);
    a.within(0, u32::MAX);
}
