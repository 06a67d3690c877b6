// SPDX-License-Identifier: GPL-2.0

//! vmapcache for consumers in Rust: memory, mappings of pages, pins and the walk, all safe.
//!
//! A consumer takes this file into its crate, and `include/vmapcache.mk` into its Kbuild file:
//!
//! ```ignore
//! #[path = "../include/vmapcache.rs"]
//! mod vmapcache;
//!
//! let mut memory = vmapcache::Area::zeroed(5 * PAGE_SIZE)?;
//! memory[0] = 1;
//! memory[1..4].copy_from_slice(b"abc");
//! // Freed here.
//! ```
//!
//! C header: [`include/vmapcache.h`](vmapcache.h). All calls go through bindgen's version of it, so that
//! an argument of another type does not compile.

// No consumer needs all of it.
#![allow(dead_code, unreachable_pub)]

use core::{
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
    ptr::NonNull,
};
use kernel::{
    alloc::{flags, Flags},
    ffi::c_void,
    page::{Page, PAGE_SIZE},
    prelude::*,
};

mod raw {
    #![allow(
        clippy::all,
        improper_ctypes,
        missing_docs,
        non_camel_case_types,
        non_snake_case,
        non_upper_case_globals,
        unsafe_op_in_unsafe_fn
    )]

    include!(env!("VMAPCACHE_H_BINDINGS"));
}

/// A request for memory, beside its size.
///
/// ```ignore
/// let how = How { align: 1 << 21, flags: GFP_KERNEL | __GFP_NOWARN, ..How::default() };
/// let memory = Area::zeroed_with(PAGE_SIZE, how)?;
/// ```
#[derive(Clone, Copy)]
pub struct How {
    /// Alignment in bytes, a power of two. An area is aligned to pages at least.
    pub align: usize,
    /// As for `__vmalloc()`: [`flags::GFP_KERNEL`] may sleep, [`flags::GFP_ATOMIC`] and
    /// [`flags::GFP_NOWAIT`] do not.
    pub flags: Flags,
    /// The NUMA node, if it matters.
    pub node: Option<u32>,
}

impl Default for How {
    /// Pages of any node; may sleep.
    fn default() -> Self {
        Self {
            align: PAGE_SIZE,
            flags: flags::GFP_KERNEL,
            node: None,
        }
    }
}

/// The number behind [`Flags`], which the kernel crate keeps to itself.
///
/// # Errors
///
/// [`EINVAL`] for flags that the kernel crate has no name for.
fn gfp(asked: Flags) -> Result<u32> {
    use kernel::bindings as b;

    let mut known = flags::__GFP_ZERO & flags::__GFP_NOWARN;
    let mut gfp = 0;
    for (flag, number) in [
        (flags::GFP_ATOMIC, b::GFP_ATOMIC),
        (flags::GFP_KERNEL, b::GFP_KERNEL),
        (flags::GFP_KERNEL_ACCOUNT, b::GFP_KERNEL_ACCOUNT),
        (flags::GFP_NOWAIT, b::GFP_NOWAIT),
        (flags::__GFP_HIGHMEM, b::__GFP_HIGHMEM),
        (flags::__GFP_NOWARN, b::__GFP_NOWARN),
        (flags::__GFP_ZERO, b::__GFP_ZERO),
    ] {
        if asked.contains(flag) {
            known = known | flag;
            gfp |= number;
        }
    }
    if known == asked {
        Ok(gfp)
    } else {
        Err(EINVAL)
    }
}

/// Memory of vmapcache without content. Dropping it frees it.
///
/// ```ignore
/// let mut memory = Uninit::new(data.len(), How::default())?;
/// let memory: Area = memory.fill(data)?;
/// ```
///
/// # Invariants
///
/// A function of vmapcache returned `addr` for `len` bytes, and nobody has freed it.
pub struct Uninit {
    addr: NonNull<u8>,
    len: usize,
}

// SAFETY: The memory belongs to the value, and any task may use and free it.
unsafe impl Send for Uninit {}
// SAFETY: A shared reference only reads.
unsafe impl Sync for Uninit {}

impl Uninit {
    /// Allocates `len` bytes, not 0. Sleeps if `how.flags` allow it.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`], also for impossible sizes; [`EINVAL`] for flags and nodes that do not exist.
    pub fn new(len: usize, how: How) -> Result<Self> {
        let node = match how.node {
            None => kernel::bindings::NUMA_NO_NODE,
            Some(node) => node.try_into().map_err(|_| EINVAL)?,
        };
        let gfp = gfp(how.flags)?;
        let caller = core::ptr::null();
        // SAFETY: The function takes any size, alignment and node. `gfp` suits the caller's context, as
        // for each allocation of the kernel crate.
        let addr = unsafe { raw::vmapcache_vmalloc_aligned(len, how.align, gfp, node, caller) };
        // INVARIANT: The call has just allocated it.
        Ok(Self {
            addr: NonNull::new(addr.cast()).ok_or(ENOMEM)?,
            len,
        })
    }

    /// The memory as an [`Area`], with a copy of `data` in it.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if `data` is not as long as the memory; then this frees the memory.
    pub fn fill(mut self, data: &[u8]) -> Result<Area> {
        if data.len() != self.len {
            return Err(EINVAL);
        }
        for (to, from) in self.iter_mut().zip(data) {
            to.write(*from);
        }
        // SAFETY: The loop has written each byte.
        Ok(unsafe { self.assume_init() })
    }

    /// The memory as an [`Area`].
    ///
    /// # Safety
    ///
    /// The caller has written each byte.
    pub unsafe fn assume_init(self) -> Area {
        Area(self)
    }

    /// Frees the memory without sleeping. Any context but NMI.
    pub fn free_atomic(self) {
        let addr = self.addr;
        core::mem::forget(self);
        // SAFETY: By the invariant; nobody uses it again, because `drop` does not run.
        unsafe { raw::vmapcache_vfree_atomic(addr.as_ptr().cast()) };
    }
}

impl Deref for Uninit {
    type Target = [MaybeUninit<u8>];

    fn deref(&self) -> &Self::Target {
        // SAFETY: By the invariant the bytes exist; they need not have a value.
        unsafe { core::slice::from_raw_parts(self.addr.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Uninit {
    fn deref_mut(&mut self) -> &mut Self::Target {
        // SAFETY: As in `deref`; `self` is borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.addr.as_ptr().cast(), self.len) }
    }
}

impl Drop for Uninit {
    /// Sleeps, except in interrupts and with interrupts off. In other atomic contexts use
    /// [`Self::free_atomic`].
    fn drop(&mut self) {
        // SAFETY: By the invariant; nobody uses it again.
        unsafe { raw::vmapcache_vfree(self.addr.as_ptr().cast()) };
    }
}

/// Memory of vmapcache: bytes that look contiguous, and behind them a page that is never mapped.
/// Dropping it frees it, as [`Uninit`].
///
/// # Invariants
///
/// Each byte has a value.
pub struct Area(Uninit);

impl Area {
    /// Allocates `len` bytes of zeroes, not 0 of them, as `vzalloc()`. Sleeps.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`], also for impossible sizes.
    pub fn zeroed(len: usize) -> Result<Self> {
        Self::zeroed_with(len, How::default())
    }

    /// As [`Self::zeroed`], with alignment, flags and node of `how`.
    ///
    /// # Errors
    ///
    /// Those of [`Uninit::new`].
    pub fn zeroed_with(len: usize, how: How) -> Result<Self> {
        let flags = how.flags | flags::__GFP_ZERO;
        let memory = Uninit::new(len, How { flags, ..how })?;
        // SAFETY: `__GFP_ZERO` fills it with zeroes.
        Ok(unsafe { memory.assume_init() })
    }

    /// Pins the area: it stays mapped until the pin is dropped, even if it is freed earlier.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if it has as many pins as it can.
    pub fn pin(&self) -> Result<Pin> {
        Pin::new(self.as_ptr()).ok_or(EBUSY)
    }

    /// As [`Uninit::free_atomic`].
    pub fn free_atomic(self) {
        self.0.free_atomic();
    }
}

impl Deref for Area {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let bytes: &[MaybeUninit<u8>] = &self.0;
        // SAFETY: By the invariant; the layout is the same.
        unsafe { &*(core::ptr::from_ref(bytes) as *const [u8]) }
    }
}

impl DerefMut for Area {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes: &mut [MaybeUninit<u8>] = &mut self.0;
        // SAFETY: By the invariant; a `u8` always keeps a value.
        unsafe { &mut *(core::ptr::from_mut(bytes) as *mut [u8]) }
    }
}

/// Keeps an area mapped, whoever owns it, until it is dropped.
///
/// It says nothing about the content: the owner may write to the memory until it frees it.
///
/// ```ignore
/// let pin = Pin::new(addr).ok_or(ENOENT)?;
/// // Whatever the owner does now, a read at `addr` does not fault.
/// ```
#[must_use = "what is dropped at once pins nothing"]
pub struct Pin(raw::vmapcache_pin);

impl Pin {
    /// Pins the area that holds `addr`; `None` if there is none. Any context.
    pub fn new<T>(addr: *const T) -> Option<Self> {
        // SAFETY: The function takes any address.
        let pin = unsafe { raw::vmapcache_pin(addr.cast()) };
        (pin.word != 0).then_some(Self(pin))
    }
}

impl Drop for Pin {
    /// Any context but NMI. If the area was freed meanwhile, its last pin finishes the free.
    fn drop(&mut self) {
        // SAFETY: It comes from `vmapcache_pin`, and only this gives it back.
        unsafe { raw::vmapcache_unpin(&mut self.0) };
    }
}

/// Shows pages side by side while this lives, wherever they are. It may show a page twice.
///
/// Others may see and change the pages meanwhile. So this gives no references to their content: it
/// copies.
///
/// ```ignore
/// let view = Mapping::new(&[&first, &second])?;
/// view.write(PAGE_SIZE - 1, b"xy")?; // one byte to each
/// ```
///
/// # Invariants
///
/// vmapcache returned `addr` for `count` pages, which live for `'a`, and nobody has unmapped it.
pub struct Mapping<'a> {
    addr: NonNull<u8>,
    count: u32,
    _pages: core::marker::PhantomData<&'a Page>,
}

// SAFETY: The mapping belongs to the value; any task may use and unmap it.
unsafe impl Send for Mapping<'_> {}
// SAFETY: Reads and writes are single bytes, of memory that others share anyway.
unsafe impl Sync for Mapping<'_> {}

impl<'a> Mapping<'a> {
    /// Maps `pages` in their order. Sleeps.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`]; [`EINVAL`] for no pages, or too many.
    pub fn new(pages: &[&'a Page]) -> Result<Self> {
        let count = u32::try_from(pages.len()).map_err(|_| EINVAL)?;
        if count == 0 {
            return Err(EINVAL);
        }
        let mut array = KVVec::with_capacity(pages.len(), GFP_KERNEL)?;
        for page in pages {
            array.push(page.as_ptr(), GFP_KERNEL)?;
        }
        // SAFETY: An array of `count` pages, which outlive the mapping.
        let addr = unsafe {
            raw::vmapcache_vm_map_ram(array.as_mut_ptr(), count, kernel::bindings::NUMA_NO_NODE)
        };
        // INVARIANT: The call has just mapped them.
        Ok(Self {
            addr: NonNull::new(addr.cast()).ok_or(ENOMEM)?,
            count,
            _pages: core::marker::PhantomData,
        })
    }

    /// Bytes of the mapping.
    pub fn size(&self) -> usize {
        self.count as usize * PAGE_SIZE
    }

    /// The first byte, for C.
    pub fn as_ptr(&self) -> *mut u8 {
        self.addr.as_ptr()
    }

    /// The place of `len` bytes at `offset`.
    fn at(&self, offset: usize, len: usize) -> Result<*mut u8> {
        let fits = offset
            .checked_add(len)
            .is_some_and(|end| end <= self.size());
        // SAFETY: Within the mapping, by the check above.
        fits.then(|| unsafe { self.as_ptr().add(offset) })
            .ok_or(EINVAL)
    }

    /// Copies the bytes at `offset`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if not all of them are in the mapping.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result {
        let at = self.at(offset, to.len())?;
        for (i, byte) in to.iter_mut().enumerate() {
            // SAFETY: In the mapping, by `at`. Volatile, since others may write.
            *byte = unsafe { at.add(i).read_volatile() };
        }
        Ok(())
    }

    /// Copies `from` to `offset`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the mapping has no room for it.
    pub fn write(&self, offset: usize, from: &[u8]) -> Result {
        let at = self.at(offset, from.len())?;
        for (i, byte) in from.iter().enumerate() {
            // SAFETY: As in `read`.
            unsafe { at.add(i).write_volatile(*byte) };
        }
        Ok(())
    }
}

impl Drop for Mapping<'_> {
    /// Sleeps.
    fn drop(&mut self) {
        // SAFETY: By the invariant; nobody uses it again.
        unsafe { raw::vmapcache_vm_unmap_ram(self.addr.as_ptr().cast(), self.count) };
    }
}

/// An area as [`walk`] shows it. It may be gone by then: [`Pin`] it before reading there.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// First byte.
    pub addr: *const u8,
    /// Bytes, without the guard page.
    pub size: usize,
    /// The code that asked for it.
    pub caller: *const u8,
    /// Pins held.
    pub pins: u32,
}

/// Shows the areas of all callers to `visit`, in ascending order from address `from` on, until it
/// returns false. `visit` sees no area twice, and the walk blocks no allocation and no free. Any
/// context that suits `visit`.
///
/// ```ignore
/// let mut total = 0;
/// walk(core::ptr::null(), |area| {
///     total += area.size;
///     true
/// });
/// ```
pub fn walk<F: FnMut(Seen) -> bool>(from: *const u8, mut visit: F) {
    /// # Safety
    ///
    /// `area` may be read, and `visit` is an `F` that nobody else uses.
    unsafe extern "C" fn show<F: FnMut(Seen) -> bool>(
        area: *const raw::vmapcache_area,
        visit: *mut c_void,
    ) -> bool {
        // SAFETY: As the caller says.
        let (area, visit) = unsafe { (&*area, &mut *visit.cast::<F>()) };
        visit(Seen {
            addr: area.addr.cast(),
            size: area.size,
            caller: area.caller.cast(),
            pins: area.pins,
        })
    }

    let visitor = core::ptr::from_mut(&mut visit).cast();
    // SAFETY: `show` takes `visitor` as an `F`, and nobody keeps it.
    unsafe { raw::vmapcache_walk(from.cast(), Some(show::<F>), visitor) };
}

/// The first byte and the size of the area that holds `addr`. It may be gone when this returns, unless
/// the caller owns or has pinned it. Any context.
pub fn find<T>(addr: *const T) -> Option<(*const u8, usize)> {
    let mut size = 0;
    // SAFETY: The function takes any address; `size` is a local variable.
    let start = unsafe { raw::vmapcache_find_vm_area(addr.cast(), &mut size) };
    (!start.is_null()).then_some((start.cast_const().cast(), size))
}
