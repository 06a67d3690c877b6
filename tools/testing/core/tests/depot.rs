// SPDX-License-Identifier: GPL-2.0

//! The depot by itself.

#![cfg(not(loom))]

use core_tests::{
    sys::Mode,
    va::stock::{
        depot::Depot,
        magazine::{Chain, Empty},
    },
};

fn empty() -> Empty {
    Empty::new(Mode::Sleep).unwrap()
}

/// Whoever may not free memory leaves a spare too many in the depot. Whoever may takes such out, a few at a
/// time, until no more than the bound are left.
#[test]
fn spares_too_many_are_taken_out_again() {
    let depot = Depot::new(1, 512).unwrap();
    for _ in 0..300 {
        depot.put_spare(empty());
    }
    let mut left = 300;
    for _ in 0..10 {
        let surplus = depot.put_spares(Chain::of(empty()));
        assert!(
            (1..=9).contains(&surplus.len()),
            "{} at once",
            surplus.len()
        );
        left = left + 1 - surplus.len();
    }
    assert_eq!(left, 256);
    assert_eq!(depot.take_spares().len(), 256);
}
