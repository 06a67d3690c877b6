// SPDX-License-Identifier: GPL-2.0

//! Input by files: numbers written to debugfs, positions of readers of /proc/vmapcacheinfo.

#![cfg(not(loom))]

use core_tests::{
    choice::{Choice, Rng},
    inputs::check_number,
    rows::Rows,
};

#[test]
fn numbers() {
    assert_eq!(check_number(b"0\n"), Some(0));
    assert_eq!(check_number(b"4294967295"), Some(u32::MAX));
    assert_eq!(check_number(b"00000000000017\n"), Some(17));
    for wrong in [
        "",
        "\n",
        "1\n\n",
        " 1",
        "1 ",
        "+1",
        "-1",
        "0x1",
        "1e3",
        "4294967296",
        "99999999999999999",
        "000000000000000017",
        "1\0",
        "\u{661}",
        "\u{a0}1",
    ] {
        assert_eq!(check_number(wrong.as_bytes()), None, "{wrong:?}");
    }
    assert_eq!(check_number(b"\xff\xfe"), None);
}

#[test]
fn numbers_at_random() {
    let mut rng = Rng::new(1);
    for _ in 0..300_000 {
        let text: Vec<u8> = (0..rng.below(20))
            .map(|_| b"0123456789+- \n\0x\xff"[rng.below(17) as usize])
            .collect();
        check_number(&text);
    }
}

#[test]
fn readers_of_proc() {
    for seed in 0..150 {
        let mut rng = Rng::new(seed);
        let mut rows = Rows::new(&mut rng);
        for _ in 0..3_000 {
            rows.step(&mut rng);
        }
        rows.finish();
    }
}
