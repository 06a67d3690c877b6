// SPDX-License-Identifier: GPL-2.0

//! One trait for all allocators under measurement: the same scenario code drives them all.

pub(super) mod allocator;
pub(super) mod bare;
pub(super) mod fake;
pub(super) mod map_ram;

use super::{line::Switches, report::Inside};
use kernel::{bindings, page::Page, prelude::*};

/// An area that a side handed out.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    /// First byte.
    pub(crate) addr: usize,
    /// Pages, the guard page not counted.
    pub(crate) pages: u32,
    /// The side needs this, beside the address, to free the area.
    pub(crate) token: usize,
}

impl Held {
    /// An area of `pages` at an address as C returns it; `None` for 0.
    #[inline]
    pub(crate) fn at(addr: usize, pages: u32) -> Option<Held> {
        (addr != 0).then_some(Held {
            addr,
            pages,
            token: 0,
        })
    }
}

impl Held {
    /// Whether the byte that `touch` wrote is still there.
    #[inline]
    pub(crate) fn touched(self) -> bool {
        // SAFETY: As for `touch`.
        unsafe { (self.addr as *const u8).read_volatile() == 1 }
    }

    /// Writes a byte, as lib/test_vmalloc.c does.
    #[inline]
    pub(crate) fn touch(self) {
        // SAFETY: Only scenarios whose areas have memory call this, while they hold the area.
        unsafe { (self.addr as *mut u8).write_volatile(1) }
    }
}

/// A request to vmalloc().
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) pages: u32,
    /// In bytes, a power of two. Up to a page it is the plain call without an alignment.
    pub(crate) align: usize,
    /// A `gfp_t`.
    pub(crate) gfp: u32,
}

impl Ask {
    /// `pages` as vmalloc() would take them.
    pub(crate) fn plain(pages: u32) -> Ask {
        Ask {
            pages,
            align: 1,
            gfp: bindings::GFP_KERNEL,
        }
    }
}

/// Pages to map, with the array of pointers that vmap() takes.
pub(crate) struct Pages {
    pages: KVVec<Page>,
    pointers: KVVec<*mut bindings::page>,
}

// SAFETY: The pointers are those of `pages`, which it owns; nothing is written through them.
unsafe impl Send for Pages {}
// SAFETY: As above; a shared reference only hands the pointers out.
unsafe impl Sync for Pages {}

impl Pages {
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(count: u32) -> Result<Pages> {
        let mut pages = KVVec::with_capacity(count as usize, GFP_KERNEL)?;
        let mut pointers = KVVec::with_capacity(count as usize, GFP_KERNEL)?;
        for _ in 0..count {
            let page = Page::alloc_page(GFP_KERNEL)?;
            pointers.push(page.as_ptr(), GFP_KERNEL)?;
            pages.push(page, GFP_KERNEL)?;
        }
        Ok(Pages { pages, pointers })
    }

    pub(crate) fn count(&self) -> u32 {
        self.pages.len() as u32
    }

    /// The first eight bytes of a page, read through the kernel's own mapping of all memory.
    pub(crate) fn first_word(&self, page: usize) -> Option<u64> {
        let mut word = [0u8; 8];
        // SAFETY: Room for eight bytes; nobody writes to the page meanwhile.
        unsafe {
            self.pages
                .get(page)?
                .read_raw(word.as_mut_ptr(), 0, word.len())
        }
        .ok()?;
        Some(u64::from_ne_bytes(word))
    }

    pub(crate) fn as_ptr(&self) -> *mut *mut bindings::page {
        self.pointers.as_ptr().cast_mut()
    }
}

/// Counters of a side since any moment: only use their differences.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counters {
    /// TLB flushes that the side itself counted.
    pub(crate) flushes: Option<u64>,
    pub(crate) inside: Inside,
}

/// An allocator. The catalog says which sides run which scenario. A method that a side does not
/// implement answers like an allocator that is out of space.
///
/// All methods may sleep. Call them in task context.
pub(crate) trait Side: Send + Sync {
    /// An area without pages. `align` in pages.
    fn va_alloc(&self, pages: u32, align: u32) -> Option<Held> {
        let _ = (pages, align);
        None
    }

    fn va_free(&self, area: Held) {
        let _ = area;
    }

    fn vmap(&self, pages: &Pages) -> Option<Held> {
        let _ = pages;
        None
    }

    fn vunmap(&self, area: Held) {
        let _ = area;
    }

    fn map_ram(&self, pages: &Pages) -> Option<Held> {
        let _ = pages;
        None
    }

    fn unmap_ram(&self, area: Held) {
        let _ = area;
    }

    fn vmalloc(&self, ask: Ask) -> Option<Held> {
        let _ = ask;
        None
    }

    /// A vmalloc'ed area of another size, with the old content. On failure the old area stays.
    fn vrealloc(&self, area: Held, bytes: usize) -> Option<Held> {
        let _ = (area, bytes);
        None
    }

    fn vfree(&self, area: Held) {
        let _ = area;
    }

    /// Purges all lazy areas before it returns.
    fn purge(&self) {}

    /// Removes the traces of earlier work: purges everything, and dissolves all stock.
    fn fresh(&self) {
        self.purge();
    }

    /// Whether a live area holds an address.
    fn find(&self, addr: usize) -> bool {
        let _ = addr;
        false
    }

    /// The file of procfs that lists all areas.
    fn list_path(&self) -> Option<&'static CStr> {
        None
    }

    /// Whether an unmapped page follows each area.
    fn guards(&self) -> bool {
        true
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Sets switches for the time of a run, and returns the old ones. `None` from a side without any.
    fn set_switches(&self, switches: &Switches) -> Option<Switches> {
        let _ = switches;
        None
    }
}
