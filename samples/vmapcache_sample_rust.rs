// SPDX-License-Identifier: GPL-2.0

//! A consumer of vmapcache in Rust: memory, a mapping, a pin, a walk.
//!
//! While it is loaded, vmapcache cannot be unloaded.

use kernel::{
    alloc::flags::__GFP_NOWARN,
    page::{Page, PAGE_SIZE},
    prelude::*,
};
use vmapcache::{Area, How, Mapping, Pin, Uninit};

#[path = "../include/vmapcache.rs"]
mod vmapcache;

module! {
    type: Sample,
    name: "vmapcache_sample_rust",
    authors: ["vmapcache developers"],
    description: "A consumer of vmapcache in Rust",
    license: "GPL",
}

/// Turns a failed check into an error.
fn expect(so: bool) -> Result {
    if so {
        Ok(())
    } else {
        Err(EIO)
    }
}

/// Memory that looks contiguous, made of pages that need not be.
fn use_memory() -> Result {
    let mut memory = Area::zeroed(5 * PAGE_SIZE)?;
    expect(memory.len() == 5 * PAGE_SIZE && memory.iter().all(|byte| *byte == 0))?;
    memory.fill(1);
    memory[PAGE_SIZE - 1..][..2].copy_from_slice(b"ab");
    expect(memory[2 * PAGE_SIZE] == 1 && memory[PAGE_SIZE] == b'b')
}

/// A large alignment, a copy into new memory, and impossible requests.
fn ask_for_more() -> Result {
    let how = How {
        align: 1 << 21,
        node: Some(0),
        ..How::default()
    };
    let memory = Uninit::new(PAGE_SIZE, how)?.fill(&[7; PAGE_SIZE])?;
    expect(memory.as_ptr() as usize % how.align == 0 && memory.last() == Some(&7))?;

    let quiet = How {
        flags: GFP_KERNEL | __GFP_NOWARN,
        ..How::default()
    };
    expect(Area::zeroed_with(usize::MAX, quiet).is_err_and(|e| e == ENOMEM))?;
    expect(Uninit::new(PAGE_SIZE, how)?.fill(b"short").is_err())
}

/// A pin keeps the area mapped, even if its owner frees it.
fn pin_area() -> Result {
    let mut memory = Area::zeroed(PAGE_SIZE)?;
    memory[100] = 3;
    let byte: *const u8 = &memory[100];
    let pin = memory.pin()?;
    drop(memory);
    // SAFETY: The pin keeps it mapped, and its owner has gone.
    let seen = unsafe { byte.read_volatile() };
    drop(pin);
    expect(seen == 3 && Pin::new(byte).is_none())
}

/// Shows one page twice, side by side, and looks at both.
fn two_views() -> Result {
    let page = Page::alloc_page(GFP_KERNEL)?;
    let views = Mapping::new(&[&page, &page])?;
    views.write(7, b"seen")?;
    let mut seen = [0; 4];
    views.read(PAGE_SIZE + 7, &mut seen)?;
    expect(&seen == b"seen")?;
    expect(views.read(2 * PAGE_SIZE - 3, &mut seen).is_err() && Mapping::new(&[]).is_err())
}

/// The areas of all callers; the walk blocks no allocation and no free.
fn walk_areas() -> Result {
    let memory = Area::zeroed(3 * PAGE_SIZE)?;
    let (mut total, mut found) = (0, false);
    vmapcache::walk(core::ptr::null(), |area| {
        total += area.size;
        found |= area.addr == memory.as_ptr();
        true
    });
    expect(found && total >= memory.len())?;
    expect(vmapcache::find(&memory[PAGE_SIZE]) == Some((memory.as_ptr(), memory.len())))
}

struct Sample;

impl kernel::Module for Sample {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        use_memory()?;
        ask_for_more()?;
        pin_area()?;
        two_views()?;
        walk_areas()?;
        pr_info!("memory, mapping, pin and walk work\n");
        Ok(Self)
    }
}
