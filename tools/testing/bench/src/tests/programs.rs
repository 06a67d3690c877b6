// SPDX-License-Identifier: GPL-2.0

//! Programs for bench/program: good ones, bad ones, and 100,000 of any kind.

use crate::{
    checks::check_program,
    program::{self, Live, Move, Shape, Slot, MOST_BYTES},
    rng::Rng,
    statistics::sort,
};

fn read(text: &str) -> Result<(Shape, Vec<Move>, Vec<Slot>), String> {
    let count = program::requests(text.as_bytes()).map_err(|c| c.to_string())?;
    let (mut moves, mut slots) = (vec![Move::default(); count], vec![Slot::default(); count]);
    let shape = program::parse(text.as_bytes(), &mut moves, &mut slots, || ());
    shape
        .map(|shape| (shape, moves, slots))
        .map_err(|c| c.to_string())
}

#[test]
fn a_program_has_its_requests() {
    let (shape, moves, slots) = read("requests 3\n0 a 4 1\n2 a 1 65536\n1 f 0\n").unwrap();
    assert_eq!((shape.requests, shape.allocations, shape.cpus), (3, 2, 3));
    assert_eq!(shape.most, Live { areas: 2, pages: 5 });
    let sets: Vec<_> = shape.live.iter().map(|l| (l.areas, l.pages)).collect();
    assert_eq!(
        sets,
        [
            (0, 0),
            (0, 0),
            (1, 4),
            (1, 4),
            (1, 4),
            (2, 5),
            (2, 5),
            (1, 1)
        ]
    );
    assert_eq!((moves[2].cpu, moves[2].frees, moves[2].slot), (1, true, 0));
    assert_eq!((slots[1].pages, slots[1].align), (1, 65_536));
    assert!(slots[0].freed && !slots[1].freed);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, wanted) in [
        ("", "program, line 1: not \"requests N\""),
        ("junk\n", "program, line 1: not \"requests N\""),
        (
            "requests +1\n0 a 1 1\n",
            "program, line 1: not \"requests N\"",
        ),
        (
            "requests 0\n",
            "program, line 1: must be 1 to 1048576 requests",
        ),
        (
            "requests 1048577\n",
            "program, line 1: must be 1 to 1048576 requests",
        ),
        (
            "requests 1\n0 a 1 1",
            "program: ends without a newline: it is cut off",
        ),
        (
            "requests 2\n0 a 1 1\n",
            "program: 1 requests in this write instead of 2: the whole program must be one write",
        ),
        (
            "requests 1\n0 a 1 1\n0 f 0\n",
            "program, line 3: more than the 1 requests of the first line",
        ),
        (
            "requests 1\n0 a 1 1\n\n",
            "program, line 3: more than the 1 requests of the first line",
        ),
        (
            "requests 1\n0 f 0\n",
            "program, line 2: frees allocation 0, which no line before makes",
        ),
        (
            "requests 1\n0 f 18446744073709551615\n",
            "program, line 2: frees allocation 18446744073709551615, which no line before makes",
        ),
        (
            "requests 3\n0 a 1 1\n1 f 0\n0 f 0\n",
            "program, line 4: frees allocation 0 a second time",
        ),
        (
            "requests 1\n256 a 1 1\n",
            "program, line 2: the CPU must be 0 to 255",
        ),
        (
            "requests 1\n-1 a 1 1\n",
            "program, line 2: the CPU must be 0 to 255",
        ),
        (
            "requests 1\n0 a 0 1\n",
            "program, line 2: must be 1 to 1048576 pages",
        ),
        (
            "requests 1\n0 a 1048577 1\n",
            "program, line 2: must be 1 to 1048576 pages",
        ),
        (
            "requests 1\n0 a 1 3\n",
            "program, line 2: the alignment must be a power of two up to 65536",
        ),
        (
            "requests 1\n0 a 1 131072\n",
            "program, line 2: the alignment must be a power of two up to 65536",
        ),
        (
            "requests 1\n0 a 1\n",
            "program, line 2: neither \"CPU a PAGES ALIGN\" nor \"CPU f NUMBER\"",
        ),
        (
            "requests 1\n0 a 1 1 1\n",
            "program, line 2: neither \"CPU a PAGES ALIGN\" nor \"CPU f NUMBER\"",
        ),
        (
            "requests 1\n0  a 1 1\n",
            "program, line 2: neither \"CPU a PAGES ALIGN\" nor \"CPU f NUMBER\"",
        ),
        (
            "requests 1\n0 x 1\n",
            "program, line 2: neither \"CPU a PAGES ALIGN\" nor \"CPU f NUMBER\"",
        ),
        (
            "requests 1\n\n",
            "program, line 2: the CPU must be 0 to 255",
        ),
    ] {
        assert_eq!(read(text).unwrap_err(), wanted, "{text:?}");
        check_program(text.as_bytes());
    }
    assert!(!check_program(b"requests 1\n0 a \xff 1\n"));
    let long = vec![b'x'; MOST_BYTES + 1];
    let said = program::requests(&long).unwrap_err().to_string();
    assert_eq!(said, "program: longer than 33554432 bytes");
}

#[test]
fn any_program_is_read_or_refused() {
    let mut rng = Rng::new(7, 0);
    let mut good = 0;
    for _ in 0..100_000 {
        let count = rng.within(1, 40);
        let mut text = String::new();
        let (mut next, mut live) = (0u32, Vec::new());
        for _ in 0..count {
            let cpu = rng.within(0, 5);
            if live.is_empty() || rng.within(0, 1) == 0 {
                text += &format!("{cpu} a {} {}\n", rng.within(1, 50), 1 << rng.within(0, 6));
                live.push(next);
                next += 1;
            } else {
                let at = rng.within(0, live.len() as u32 - 1) as usize;
                text += &format!("{cpu} f {}\n", live.swap_remove(at));
            }
        }
        let mut bytes = format!("requests {count}\n{text}").into_bytes();
        // Some of them with a fault.
        if rng.within(0, 2) > 0 {
            let at = rng.within(0, bytes.len() as u32 - 1) as usize;
            match rng.within(0, 2) {
                0 => bytes[at] = rng.within(0, 255) as u8,
                1 => bytes.truncate(at),
                _ => bytes.insert(at, b"0123456789 af\n"[rng.within(0, 13) as usize]),
            }
        }
        good += u32::from(check_program(&bytes));
    }
    assert!((30_000..90_000).contains(&good), "{good}");
}

#[test]
fn what_is_sorted_is_in_order() {
    let mut rng = Rng::new(3, 0);
    for length in (0..40).chain([1_000, 100_000]) {
        let mut values: Vec<u32> = (0..length).map(|_| rng.within(0, length)).collect();
        let mut wanted = values.clone();
        wanted.sort_unstable();
        sort(&mut values);
        assert_eq!(values, wanted);
    }
}
