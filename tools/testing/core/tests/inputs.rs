// SPDX-License-Identifier: GPL-2.0

//! Input by files: numbers written to debugfs, positions of readers of /proc/vmapcacheinfo.

#![cfg(not(loom))]

use core_tests::{
    choice::{Choice, Rng},
    inputs::{check_number, rule, words, WORDS_MAX},
    rows,
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
fn words_of_takeover() {
    assert_eq!(
        words(b"vmap vm_map_ram\n"),
        Some(vec!["vmap", "vm_map_ram"])
    );
    assert_eq!(words(b"!"), Some(vec!["!"]));
    for wrong in [
        "", "\n", " a", "a ", "a  b", "a\n\n", "a\tb", "a\0", "\u{e9}",
    ] {
        assert_eq!(words(wrong.as_bytes()), None, "{wrong:?}");
    }
    assert_eq!(words(b"\xff"), None);
    assert!(words(&[b'a'; WORDS_MAX]).is_some());
    assert_eq!(words(&[b'a'; WORDS_MAX + 1]), None);
    for (word, name, module, exclude) in [
        ("vmap", "vmap", false, false),
        ("!a.isra.0", "a.isra.0", false, true),
        ("[dm-mod]", "dm-mod", true, false),
        ("![x]", "x", true, true),
    ] {
        assert_eq!(rule(word), Some((name, module, exclude)), "{word}");
    }
    for wrong in [
        "", "!", "!!a", "[", "[]", "[a", "a]", "[[a]]", "a-b", "[a.b]", "a[b]", "%s", "![",
    ] {
        assert_eq!(rule(wrong), None, "{wrong:?}");
    }
}

#[test]
fn readers_of_proc() {
    for seed in 0..150 {
        rows::run(seed, 3_000);
    }
}
