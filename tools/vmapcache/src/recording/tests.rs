// SPDX-License-Identifier: GPL-2.0

//! The file on good and bad bytes, and pages of a kernel's trace buffers.

use super::{
    file,
    gather::{Gathered, Layout},
    names::Names,
    Alloc, Head, Recording, Request, What,
};
use crate::trace::page;
use proptest::prelude::*;

fn request(time: u64, cpu: u16, what: What) -> Request {
    Request { time, cpu, what }
}

fn alloc(pages: u32, caller: u32) -> What {
    What::Alloc(Alloc {
        pages,
        align_shift: 12,
        range: 0,
        caller,
    })
}

fn recording(requests: Vec<Request>) -> Recording {
    Recording {
        head: Head {
            kernel: "7.3.4".into(),
            cpus: 4,
            page_bytes: 4096,
            requests: requests.len() as u64,
            ranges: vec![1 << 45, 1 << 30],
            callers: vec![String::new(), "dup_task_struct".into()],
            lost: vec![0, 3],
            command: vec!["sh".into(), "-c".into(), "a\nb".into()],
            ..Head::default()
        },
        requests,
    }
}

fn small() -> Recording {
    recording(vec![
        request(0, 0, alloc(2, 0)),
        request(10, 3, What::Free(None)),
        request(10, 1, alloc(u32::MAX, 1)),
        request(1 << 40, 2, What::Free(Some(0))),
        request(1 << 63, 2, What::Free(Some(1))),
    ])
}

fn bytes(recording: &Recording) -> Vec<u8> {
    let mut bytes = Vec::new();
    file::write(recording, &mut bytes).unwrap();
    bytes
}

#[test]
fn what_is_written_is_read() {
    assert_eq!(file::read(&bytes(&small())[..]), Ok(small()));
    assert_eq!(small().counts(), (2, 3, 1));
    let empty = recording(Vec::new());
    assert_eq!(file::read(&bytes(&empty)[..]), Ok(empty));
}

#[test]
fn a_recording_is_small() {
    let mut requests = Vec::new();
    for n in 0..100_000u32 {
        requests.push(request(u64::from(n) * 20_000, (n % 4) as u16, alloc(5, 1)));
        requests.push(request(
            u64::from(n) * 20_000 + 9_000,
            (n % 4) as u16,
            What::Free(Some(n)),
        ));
    }
    let written = bytes(&recording(requests)).len();
    assert!(written < 200_000, "{written} bytes");
}

#[test]
fn a_cut_off_recording_is_named_so() {
    let whole = bytes(&small());
    for end in 1..whole.len() {
        assert_eq!(
            file::read(&whole[..end]).unwrap_err(),
            "the recording is cut off",
            "after {end} bytes"
        );
    }
}

#[test]
fn a_changed_recording_is_refused_or_means_the_same() {
    let whole = bytes(&small());
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            // The head of a zstd frame has bits without a meaning.
            if let Ok(read) = file::read(&changed[..]) {
                assert_eq!(read, small(), "byte {at}, bit {bit} is changed");
            }
        }
    }
}

#[test]
fn what_is_no_recording_is_said() {
    let said = |bytes: &[u8]| file::read(bytes).unwrap_err();
    assert_eq!(said(b""), "this is no recording of vmapcache");
    assert_eq!(said(b"\x7fELF\n"), "this is no recording of vmapcache");
    assert_eq!(
        said(b"vmapcache recording, format x\n"),
        "this is no recording of vmapcache"
    );
    let other = said(b"vmapcache recording, format 2\nanything");
    assert!(
        other.starts_with("this recording has format 2, and this program reads format 1"),
        "{other}"
    );
    let junk = said(b"vmapcache recording, format 1\njunk that is no zstd");
    assert!(junk.starts_with("the recording is damaged"), "{junk}");
    let mut more = bytes(&small());
    more.push(0);
    assert_eq!(said(&more), "something follows the recording");
}

#[test]
fn requests_that_cannot_be_are_refused() {
    let said = |recording: &Recording| file::read(&bytes(recording)[..]).unwrap_err();
    let of = |what| recording(vec![request(0, 0, alloc(1, 0)), request(1, 0, what)]);
    assert_eq!(said(&of(alloc(0, 0))), "request 1: no page");
    assert_eq!(said(&of(alloc(1, 2))), "request 1: caller 2 is not below 2");
    let twice = recording(vec![
        request(0, 0, alloc(1, 0)),
        request(0, 0, What::Free(Some(0))),
        request(0, 0, What::Free(Some(0))),
    ]);
    assert_eq!(said(&twice), "request 2: frees what is freed");
    let cpu = recording(vec![request(0, 4, alloc(1, 0))]);
    assert_eq!(said(&cpu), "request 0: CPU 4 of 4");
    let mut fewer = small();
    fewer.head.requests = 4;
    assert_eq!(said(&fewer), "the recording has more than its head says");
    fewer.head.requests = 6;
    assert_eq!(said(&fewer), "request 5: the recording is cut off");
    fewer.head.requests = u64::MAX;
    assert!(said(&fewer).ends_with("are more than 20000000"));
    fewer.head.page_bytes = 0;
    fewer.head.requests = 5;
    assert_eq!(said(&fewer), "pages of 0 bytes");
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let one = (
        any::<u32>(),
        0..4u16,
        any::<bool>(),
        any::<u32>(),
        0..63u8,
        any::<bool>(),
    );
    prop::collection::vec(one, 0..200).prop_map(|all| {
        let (mut time, mut live, mut next) = (0u64, Vec::new(), 0u32);
        all.into_iter()
            .map(|(later, cpu, frees, number, align_shift, other)| {
                time += u64::from(later);
                let what = if !frees {
                    live.push(next);
                    next += 1;
                    What::Alloc(Alloc {
                        pages: number.max(1),
                        align_shift,
                        range: other.into(),
                        caller: (!other).into(),
                    })
                } else if live.is_empty() {
                    What::Free(None)
                } else {
                    What::Free(Some(live.swap_remove(number as usize % live.len())))
                };
                request(time, cpu, what)
            })
            .collect()
    })
}

/// A recording whose packed part is anything.
fn packed(inner: &[u8]) -> Vec<u8> {
    let mut bytes = b"vmapcache recording, format 1\n".to_vec();
    bytes.extend(zstd::encode_all(inner, 1).unwrap());
    bytes
}

proptest! {
    #[test]
    fn any_recording_comes_back(requests in requests()) {
        let recording = recording(requests);
        prop_assert_eq!(file::read(&bytes(&recording)[..]), Ok(recording));
    }

    #[test]
    fn junk_is_refused_and_never_panics(junk in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(file::read(&junk[..]).is_err());
        let mut begun = b"vmapcache recording, format 1\n".to_vec();
        begun.extend(&junk);
        prop_assert!(file::read(&begun[..]).is_err());
        prop_assert!(file::read(&packed(&junk)[..]).is_err());
    }

    /// What is packed may be anything: no request that cannot be comes out.
    #[test]
    fn requests_of_junk_are_sane(junk in prop::collection::vec(any::<u8>(), 0..300), number in 0..40u64) {
        let mut head = recording(Vec::new()).head;
        head.requests = number;
        let mut inner = serde_json::to_vec(&head).unwrap();
        inner.push(b'\n');
        inner.extend(&junk);
        if let Ok(read) = file::read(&packed(&inner)[..]) {
            let (mut live, mut allocations) = (std::collections::BTreeSet::new(), 0);
            for request in &read.requests {
                prop_assert!(u32::from(request.cpu) < read.head.cpus);
                match request.what {
                    What::Alloc(alloc) => {
                        prop_assert!(alloc.pages > 0 && alloc.align_shift < 64);
                        prop_assert!(usize::from(alloc.range) < read.head.ranges.len());
                        prop_assert!((alloc.caller as usize) < read.head.callers.len());
                        live.insert(allocations);
                        allocations += 1;
                    }
                    What::Free(Some(of)) => prop_assert!(live.remove(&of)),
                    What::Free(None) => {}
                }
            }
        }
    }

    #[test]
    fn any_page_is_read_or_refused(page in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut gathered = Gathered::new(layout(), 4096);
        let _ = gathered.page(0, &page);
        let (requests, ..) = gathered.requests(&Names::new(""));
        prop_assert!(requests.len() <= page.len());
    }

    #[test]
    fn a_real_page_with_faults_is_read_or_refused(at in 0..CPU0.len(), byte: u8) {
        let mut bytes = CPU0.to_vec();
        bytes[at] = byte;
        let mut gathered = Gathered::new(layout(), 4096);
        for page in bytes.chunks(4096) {
            let _ = gathered.page(0, page);
        }
        gathered.requests(&Names::new(""));
    }
}

/// Pages of a kernel 7.3 on two CPUs that started a few programs, and what tracefs says of them.
const CPU0: &[u8] = include_bytes!("../../recorded/trace/cpu0");
const CPU1: &[u8] = include_bytes!("../../recorded/trace/cpu1");
/// What `trace` showed of the same buffers.
const TRACE: &str = include_str!("../../recorded/trace/trace");

fn file_of(name: &str) -> Result<String, String> {
    let text = match name {
        "header_page" => include_str!("../../recorded/trace/header_page"),
        "vmalloc/alloc_vmap_area/format" => include_str!("../../recorded/trace/alloc_vmap_area"),
        "vmalloc/free_vmap_area_noflush/format" => {
            include_str!("../../recorded/trace/free_vmap_area_noflush")
        }
        "vmalloc/purge_vmap_area_lazy/format" => {
            include_str!("../../recorded/trace/purge_vmap_area_lazy")
        }
        "ftrace/kernel_stack/format" => include_str!("../../recorded/trace/kernel_stack"),
        _ => return Err(format!("{name}: not found")),
    };
    Ok(text.into())
}

fn layout() -> Layout {
    Layout::new(file_of).unwrap()
}

/// An event of TRACE: CPU, microseconds; of an allocation, size and alignment.
type Printed = (u16, u64, Option<(u64, u64)>);

fn printed() -> Vec<Printed> {
    let mut all = Vec::new();
    for line in TRACE.lines().filter(|line| !line.starts_with('#')) {
        let Some((before, event)) = line.split_once(": ") else {
            continue;
        };
        let cpu = before.split_once('[').unwrap().1[..3].parse().unwrap();
        let (seconds, micros) = before.rsplit(' ').next().unwrap().split_once('.').unwrap();
        let time = seconds.parse::<u64>().unwrap() * 1_000_000 + micros.parse::<u64>().unwrap();
        let of = |key: &str| -> u64 {
            let rest = event.split_once(key).unwrap().1;
            rest.split(' ').next().unwrap().parse().unwrap()
        };
        if event.starts_with("alloc_vmap_area: ") {
            assert_eq!(of("failed="), 0);
            all.push((cpu, time, Some((of("size="), of("align=")))));
        } else if event.starts_with("free_vmap_area_noflush: ") {
            all.push((cpu, time, None));
        }
    }
    all
}

#[test]
fn pages_of_a_kernel_are_what_it_prints_of_them() {
    let mut gathered = Gathered::new(layout(), 4096);
    for (cpu, bytes) in [(0, CPU0), (1, CPU1)] {
        for page in bytes.chunks(4096) {
            gathered.page(cpu, page).unwrap();
        }
    }
    assert_eq!((gathered.strange, gathered.failed), (0, 0));
    let kallsyms = include_str!("../../recorded/trace/kallsyms");
    let (requests, ranges, callers) = gathered.requests(&Names::new(kallsyms));
    let wanted = printed();
    assert!(wanted.len() > 10);
    assert_eq!(requests.len(), wanted.len());
    let first = wanted[0].1;
    for (request, (cpu, time, size)) in requests.iter().zip(wanted) {
        assert_eq!(request.cpu, cpu);
        // Either has been rounded.
        assert!(
            (request.time / 1000).abs_diff(time - first) <= 1,
            "{request:?}"
        );
        match (request.what, size) {
            (What::Alloc(alloc), Some((bytes, align))) => {
                assert_eq!(
                    (u64::from(alloc.pages) * 4096, 1 << alloc.align_shift),
                    (bytes, align)
                );
                assert!(usize::from(alloc.range) < ranges.len());
            }
            (What::Free(_), None) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(
        callers.iter().any(|caller| caller == "copy_process"),
        "{callers:?}"
    );
}

#[test]
fn a_layout_without_a_field_is_refused() {
    for (file, field) in [
        ("header_page", "commit"),
        ("vmalloc/alloc_vmap_area/format", "vstart"),
        ("vmalloc/alloc_vmap_area/format", "ID:"),
        ("vmalloc/free_vmap_area_noflush/format", "va_start"),
        ("vmalloc/purge_vmap_area_lazy/format", "npurged"),
    ] {
        let without = |name: &str| {
            let text = file_of(name)?;
            let lines = text
                .lines()
                .filter(|line| name != file || !line.contains(field));
            Ok(lines.collect::<Vec<_>>().join("\n"))
        };
        let Err(said) = Layout::new(without) else {
            panic!("{file} without {field}");
        };
        assert!(said.starts_with("tracefs: "), "{said}");
    }
    let none = |name: &str| match name {
        "ftrace/kernel_stack/format" => Err(String::new()),
        name => file_of(name),
    };
    assert!(!Layout::new(none).unwrap().has_stacks());
}

/// A page with these events: a word of head each, and what follows it.
fn page_of(time: u64, events: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (kind, delta, rest) in events {
        data.extend((kind | (delta << 5)).to_le_bytes());
        data.extend(*rest);
    }
    let mut page = time.to_le_bytes().to_vec();
    page.extend((data.len() as u64 | (1 << 31)).to_le_bytes());
    page.extend(data);
    page.extend([0xff; 8]);
    page
}

#[test]
fn times_add_up_over_all_kinds_of_events() {
    let page = page_of(
        (1 << 59) | 1000,
        &[
            (1, 5, &[1; 4]),
            // Discarded, of 8 bytes behind its head, and one without time.
            (29, 7, &[8, 0, 0, 0, 0, 0, 0, 0]),
            (29, 1, &[4, 0, 0, 0]),
            // 1 << 27 later.
            (30, 3, &[1, 0, 0, 0]),
            (2, 0, &[2; 8]),
            // An absolute time without its upper bits.
            (31, 9, &[2, 0, 0, 0]),
            (0, 1, &[8, 0, 0, 0, 3, 3, 3, 3]),
            (29, 0, &[]),
            (1, 1, &[9; 4]),
        ],
    );
    let mut seen = Vec::new();
    page::events(&page, |time, event| seen.push((time, event.to_vec()))).unwrap();
    let after = (1 << 59) + 1000 + 12 + 3 + (1 << 27);
    assert_eq!(
        seen,
        [
            ((1 << 59) + 1005, vec![1; 4]),
            (after, vec![2; 8]),
            ((1 << 59) + (2 << 27) + 10, vec![3; 4]),
        ]
    );
    for end in 0..page.len() - 8 {
        assert!(page::events(&page[..end], |_, _| ()).is_err(), "{end}");
    }
}

#[test]
fn a_caller_is_above_the_allocator() {
    let names = Names::new(
        "0000000000001000 T alloc_vmap_area\n\
         0000000000002000 t __get_vm_area_node.isra.0\n\
         0000000000003000 T __vmalloc_node_range_noprof\n\
         0000000000004000 T keep\t[some]\n\
         0000000000005000 T vfree\n\
         0000000000005000 D data\n\
         0000000000000000 T hidden\n",
    );
    let caller = |stack: &[u64]| names.caller(stack);
    assert_eq!(
        caller(&[0x1010, 0x2010, 0x3010, 0x4010, 0x5010]).as_deref(),
        Some("keep [some]")
    );
    // What traces comes first; a call may be a function's last instruction.
    assert_eq!(
        caller(&[0x5001, 0x1010, 0x5000]).as_deref(),
        Some("keep [some]")
    );
    assert_eq!(caller(&[0x4010, 0x5010]), None);
    assert_eq!(caller(&[0x1010]), None);
    assert_eq!(caller(&[0x1010, 0x10]), None);
    assert_eq!(caller(&[]), None);
    assert!(Names::new("0000000000000000 T hidden\njunk\n\n").is_empty());
}
