// SPDX-License-Identifier: GPL-2.0

//! vmalloc, vmap and the rest, on the area manager and the page tables.
//!
//! Counts in bytes and addresses; the layers below count pages. C calls it through [`super::exports`].

use crate::{
    bindings::{
        self, vc_misuse, vc_use, vc_use_VC_USE_ADDRESSES, vc_use_VC_USE_RAM, vc_use_VC_USE_VMALLOC,
        vc_use_VC_USE_VMAP,
    },
    face::{
        failure::{misuse, Failure},
        surroundings::{self, Surroundings},
        trace,
    },
    pages::{
        arena::Arena,
        mapping::{BadPages, Mapping, PagePtr, Payload, Place},
    },
    sys::{Mode, Page},
    va::{
        area::{class::Class, Kind, Snapshot},
        count::callers::is_unaware,
        info::cache::fragmentation,
        AllocError, Area, Config, Dying, FreeError, Freed, Manager, Pin, Purge, Request, Switch,
        Ticket, Unpinned, GUARD,
    },
};
use core::num::NonZeroUsize;
use kernel::{
    ffi::c_void,
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*,
    sync::Arc,
};

/// The allocator compares requests of more pages than this with the machine's memory.
const MANY_PAGES: u32 = 1 << (26 - PAGE_SHIFT);

/// Pages of a huge page.
// A table of the lowest level has as many entries of 8 bytes as a page holds: see page_tables.c.
const PMD_PAGES: u32 = PAGE_SIZE as u32 / 8;

/// The name of the one switch that is a number: [`Manager::set_lazy_max`].
pub(crate) const LAZY_MAX_PAGES: &CStr = c"lazy_max_pages";

/// One request to [`Allocator::vmalloc`].
#[derive(Clone, Copy, Default)]
pub(crate) struct Wanted {
    /// Bytes.
    pub(crate) size: usize,
    /// Bytes, a power of two.
    pub(crate) align: usize,
    /// As for the kernel's `__vmalloc()`.
    pub(crate) gfp: u32,
    /// Of `enum vc_how`; agrees with `gfp`.
    pub(crate) how: u32,
    /// NUMA node, or -1.
    pub(crate) node: i32,
    /// The code address of the caller.
    pub(crate) caller: usize,
}

/// One request to [`Allocator::map`].
pub(crate) struct Shown {
    /// The pages.
    pub(crate) pages: *mut PagePtr,
    /// How many.
    pub(crate) count: u32,
    /// Of `enum vc_how`.
    pub(crate) how: u32,
    /// Value of a `pgprot_t`.
    pub(crate) prot: usize,
    /// For the report of a failure.
    pub(crate) gfp: u32,
    /// The code address of the caller.
    pub(crate) caller: usize,
}

impl Shown {
    /// Bytes.
    #[inline(always)]
    fn size(&self) -> usize {
        (self.count as usize) << PAGE_SHIFT
    }

    /// The request, for those who report it.
    #[inline(always)]
    fn wanted(&self) -> Wanted {
        Wanted {
            size: self.size(),
            align: 1,
            how: bindings::vc_how_VC_MAY_SLEEP,
            gfp: self.gfp,
            caller: self.caller,
            ..Wanted::default()
        }
    }
}

/// An area as [`Allocator::walk`] shows it.
pub(crate) struct Seen {
    pub(crate) addr: usize,
    /// Bytes.
    pub(crate) size: usize,
    /// The code address of its caller.
    pub(crate) caller: usize,
    /// Its pins.
    pub(crate) pins: u32,
}

/// The allocator: the area manager of one arena, and its page tables.
pub(crate) struct Allocator {
    // Dropped before the arena, whose addresses it hands out.
    manager: Manager<Surroundings>,
    mapping: Mapping,
    /// Alignments up to this, in pages, hold for addresses as for page numbers.
    align_max: u32,
}

impl Allocator {
    /// An allocator over `arena`, in which nothing is mapped. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    // Not inlined: its caller must not keep this stack frame while it goes on.
    #[inline(never)]
    pub(crate) fn new(arena: Arena) -> Result<Arc<Self>> {
        let pages = arena.pages();
        // SAFETY: No precondition.
        let (cpus, online) = unsafe { (bindings::vc_cpu_count(), bindings::vc_cpus_online()) };
        let config = Config {
            pages,
            cpus,
            shards: cpus.min(pages / SHARD_PAGES_MIN).max(1),
            lazy_max_pages: lazy_max_default(online, pages),
            early_purges: EARLY_PURGES,
            flush_ceiling: FLUSH_CEILING,
        };
        let made = try_init!(Self {
            align_max: pages.checked_next_power_of_two().unwrap_or(1 << 31),
            manager: Manager::new(config, Surroundings { bounds: *arena })?,
            mapping: Mapping::new(arena),
        });
        Arc::init(made, GFP_KERNEL)
    }

    /// The area manager.
    #[inline(always)]
    pub(crate) fn manager(&self) -> &Manager<Surroundings> {
        &self.manager
    }

    /// The arena.
    #[inline(always)]
    pub(crate) fn arena(&self) -> &Arena {
        self.mapping.arena()
    }

    /// The value of the switch of that name, [`LAZY_MAX_PAGES`] among them.
    pub(crate) fn switch_named(&self, name: &CStr) -> Option<u32> {
        if name == LAZY_MAX_PAGES {
            return Some(self.manager.lazy_max());
        }
        let switch = Switch::named(name.to_str().ok()?)?;
        Some(self.manager.switch(switch).into())
    }

    /// Sets the switch of that name. False if there is none, or it cannot have that value.
    pub(crate) fn set_switch_named(&self, name: &CStr, value: u32) -> bool {
        if name == LAZY_MAX_PAGES {
            self.manager.set_lazy_max(value);
            return true;
        }
        let switch = name.to_str().ok().and_then(Switch::named);
        match (switch, value) {
            (Some(switch), 0 | 1) => self.manager.set_switch(switch, value == 1),
            _ => return false,
        }
        true
    }

    /// The counter of that name, of debugfs `stats`.
    pub(crate) fn counter_named(&self, name: &CStr) -> Option<u64> {
        let mut counters = self.manager.stats().lines(PAGE_SHIFT);
        counters.find_map(|(key, value)| (key.as_bytes() == name.to_bytes()).then_some(value))
    }

    /// Finishes deferred frees, then purges. Sleeps.
    pub(crate) fn purge(&self, how: Purge) {
        self.finish_deferred();
        self.manager.purge(how);
    }

    // ---- allocation ----

    /// Allocates an area with pages of its own. Returns its address, or 0 after a report.
    #[inline]
    pub(crate) fn vmalloc(&self, wanted: Wanted) -> usize {
        match self.try_vmalloc(wanted) {
            Ok(addr) => addr,
            Err(why) => self.fail_or_wait(why, wanted),
        }
    }

    /// Reports a failed request and returns 0; or tries again until the request succeeds, if it must not
    /// fail.
    #[cold]
    #[inline(never)]
    fn fail_or_wait(&self, mut why: Failure, wanted: Wanted) -> usize {
        let mut waited = 0u32;
        loop {
            // Comes with `VC_MAY_SLEEP`.
            let waits = why.may_pass() && wanted.how & bindings::vc_how_VC_NOFAIL != 0;
            self.trace_failure(why, &wanted, vc_use_VC_USE_VMALLOC, waits);
            // Each time at first, and then ever more rarely.
            let tell = !waits || waited == 0 || waited.is_power_of_two();
            if tell && wanted.how & bindings::vc_how_VC_QUIET == 0 {
                self.report(why, wanted, waits);
            }
            if !waits {
                return 0;
            }
            surroundings::wait_for_memory(waited);
            waited = waited.saturating_add(1);
            match self.try_vmalloc(wanted) {
                Ok(addr) => return addr,
                Err(again) => why = again,
            }
        }
    }

    #[inline]
    fn try_vmalloc(&self, wanted: Wanted) -> Result<usize, Failure> {
        let mode = if wanted.how & bindings::vc_how_VC_MAY_SLEEP == 0 {
            Mode::NoWait
        } else if wanted.how & bindings::vc_how_VC_GENTLE != 0 {
            Mode::Gentle
        } else {
            Mode::Sleep
        };
        let huge = wanted.how & bindings::vc_how_VC_HUGE != 0;
        let area = if huge {
            self.reserve_huge(wanted, mode)?
        } else {
            self.reserve(wanted.size, wanted.align, true, mode, wanted.caller)?
        };
        let place = place_of(&area);
        // SAFETY: `area` stands for a range of the arena that the manager gave to nobody else, and in
        // which nothing is mapped. `VC_HUGE` says what a huge page needs.
        let result = unsafe {
            if huge {
                self.mapping.populate_huge(place, wanted.gfp, wanted.node)
            } else {
                self.mapping.populate(place, wanted.gfp, wanted.node)
            }
        };
        match result {
            Ok(payload) => {
                let user = wanted.how & bindings::vc_how_VC_USER != 0;
                let kind = if user {
                    Kind::VmallocUser
                } else {
                    Kind::Vmalloc
                };
                Ok(self.publish(area, payload, kind, vc_use_VC_USE_VMALLOC, || wanted))
            }
            Err(left) => {
                if mode == Mode::NoWait {
                    self.manager.defer_abort(area, left.into_word());
                } else {
                    self.manager.abort(area, mode);
                }
                Err(Failure::NoPages)
            }
        }
    }

    /// Allocates an area without pages. Returns its address, or null after a report. Sleeps.
    #[inline(always)]
    pub(crate) fn get_area(
        &self,
        size: usize,
        align: usize,
        gfp: u32,
        caller: usize,
    ) -> *mut c_void {
        // The usual case keeps nothing for any other one: its code calls nothing, and hardly saves a register.
        if !trace::wants_allocs() {
            if let Some(class) = class_of(size, align) {
                let nothing = Payload::NOTHING.into_word();
                let stocked = self
                    .manager
                    .alloc_stocked(class, caller, nothing, Kind::VaOnly);
                if let Some(start) = stocked {
                    return self.arena().address_of_area(start) as *mut c_void;
                }
            }
        }
        Self::get_any_area(size, align, gfp, caller, self)
    }

    // All arguments stay in the registers in which C has passed them.
    #[inline(never)]
    fn get_any_area(
        size: usize,
        align: usize,
        gfp: u32,
        caller: usize,
        this: &Self,
    ) -> *mut c_void {
        // Only those who report need it.
        let wanted = || Wanted {
            size,
            align,
            how: bindings::vc_how_VC_MAY_SLEEP,
            gfp,
            caller,
            ..Wanted::default()
        };
        let addr = match this.reserve(size, align, false, Mode::Sleep, caller) {
            Ok(area) => this.publish(
                area,
                Payload::NOTHING,
                Kind::VaOnly,
                vc_use_VC_USE_ADDRESSES,
                wanted,
            ),
            Err(why) => this.fail(why, wanted(), vc_use_VC_USE_ADDRESSES),
        };
        addr as *mut c_void
    }

    /// Allocates an area of at least `size` bytes, not published. With `backed`, fails if the machine
    /// has less memory than that.
    #[inline]
    fn reserve(
        &self,
        size: usize,
        align: usize,
        backed: bool,
        mode: Mode,
        caller: usize,
    ) -> Result<Area<'_>, Failure> {
        let request = self.request(size, align, backed, mode, caller)?;
        match self.manager.alloc(request) {
            Ok(area) => Ok(area),
            Err(e) => Err(self.reason(e, request.pages, backed)),
        }
    }

    /// What [`Self::reserve`] asks of the manager.
    #[inline(always)]
    fn request(
        &self,
        size: usize,
        align: usize,
        backed: bool,
        mode: Mode,
        caller: usize,
    ) -> Result<Request, Failure> {
        // No overflow: nothing adds PAGE_SIZE - 1 before the shift.
        let pages = (size >> PAGE_SHIFT) + usize::from(size & (PAGE_SIZE - 1) != 0);
        if pages == 0 {
            return Err(Failure::ZeroSize);
        }
        let pages = u32::try_from(pages).map_err(|_| Failure::AboveArena)?;
        if pages > MANY_PAGES {
            self.check_size(pages, backed)?;
        }
        let align = if align <= PAGE_SIZE {
            1
        } else {
            let pages = align >> PAGE_SHIFT;
            if !align.is_power_of_two() {
                return Err(AllocError::Invalid.into());
            }
            u32::try_from(pages)
                .ok()
                .filter(|&a| a <= self.align_max)
                .ok_or(Failure::AlignTooLarge)?
        };
        Ok(Request {
            pages,
            align,
            mode,
            caller,
        })
    }

    /// As [`Self::reserve`], where huge pages can begin, if there is room for that.
    #[inline(never)]
    fn reserve_huge(&self, wanted: Wanted, mode: Mode) -> Result<Area<'_>, Failure> {
        let request = self.request(wanted.size, wanted.align, true, mode, wanted.caller)?;
        self.manager
            .alloc_best(request, PMD_PAGES)
            .map_err(|e| self.reason(e, request.pages, true))
    }

    /// Why there is no area of `pages` pages: perhaps there never could be one, and then the caller must not
    /// wait for it.
    #[cold]
    #[inline(never)]
    fn reason(&self, e: AllocError, pages: u32, backed: bool) -> Failure {
        self.check_size(pages, backed).err().unwrap_or(e.into())
    }

    /// Whether there could be an area of `pages` pages; `backed` means with pages of its own.
    #[cold]
    fn check_size(&self, pages: u32, backed: bool) -> Result<(), Failure> {
        if pages >= self.manager.pages() {
            Err(Failure::AboveArena)
        } else if backed && pages as usize > surroundings::total_pages() {
            Err(Failure::AboveMemory)
        } else {
            Ok(())
        }
    }

    // Where it is not inlined, `wanted` costs its arguments.
    #[inline(always)]
    fn publish(
        &self,
        area: Area<'_>,
        payload: Payload,
        kind: Kind,
        use_: vc_use,
        wanted: impl FnOnce() -> Wanted,
    ) -> usize {
        let addr = self.arena().address(area.start());
        self.manager.publish(area, payload.into_word(), kind);
        trace::alloc(addr, use_, wanted)
    }

    /// Allocates an area that shows pages of the caller. Returns its address, or 0 after a report. With
    /// `VC_PUT_PAGES` the caller gives the array and a reference to each page to the area. Sleeps.
    ///
    /// # Safety
    ///
    /// `shown.pages` is null, or valid for reads of `shown.count` page pointers; with `VC_PUT_PAGES` it was
    /// allocated by kmalloc or vmalloc, and belongs to the area from now on, if the call succeeds.
    #[inline(always)]
    pub(crate) unsafe fn map(&self, shown: Shown, kind: Kind) -> usize {
        // SAFETY: As the caller says.
        match unsafe { self.try_map(&shown, kind) } {
            Ok(addr) => addr,
            Err(why) => self.fail(why, shown.wanted(), map_use(kind)),
        }
    }

    /// # Safety
    ///
    /// As for [`Self::map`].
    #[inline(always)]
    unsafe fn try_map(&self, shown: &Shown, kind: Kind) -> Result<usize, Failure> {
        // This also bounds how much of the array is read. In-tree vm_map_ram() does not ask for the memory.
        let backed = kind != Kind::VmMapRam;
        let area = self.reserve(shown.size(), 1, backed, Mode::Sleep, shown.caller)?;
        // SAFETY: As the caller says.
        let why = if let Some(bad) = unsafe { BadPages::find(shown.pages, shown.count) } {
            Failure::BadPages(bad)
        } else {
            let give = shown.how & bindings::vc_how_VC_PUT_PAGES != 0;
            // SAFETY: `area` stands for a range of the arena that the manager gave to nobody else, and in
            // which nothing is mapped. The caller vouches for the pages, which were found good.
            match unsafe {
                self.mapping
                    .map(place_of(&area), shown.pages, give, shown.prot)
            } {
                Ok(payload) => {
                    return Ok(self.publish(area, payload, kind, map_use(kind), || shown.wanted()))
                }
                Err(_) => Failure::NoPageTables,
            }
        };
        self.manager.abort(area, Mode::Sleep);
        Err(why)
    }

    /// Reports a failed request, and returns 0.
    #[cold]
    #[inline(never)]
    fn fail(&self, why: Failure, wanted: Wanted, use_: vc_use) -> usize {
        self.trace_failure(why, &wanted, use_, false);
        self.report(why, wanted, false);
        0
    }

    /// Tells those who trace that a request failed, or `waits`.
    #[cold]
    fn trace_failure(&self, why: Failure, wanted: &Wanted, use_: vc_use, waits: bool) {
        trace::fail(why, wanted, use_, waits, || self.manager.lazy_pages());
    }

    /// Says in the kernel log that a request failed, or `waits`. Not if the caller is unaware: another
    /// allocator serves it now.
    #[cold]
    fn report(&self, why: Failure, wanted: Wanted, waits: bool) {
        if is_unaware(wanted.caller) {
            return;
        }
        if why == Failure::ZeroSize {
            return self.misuse(vc_misuse::VC_MISUSE_ZERO_SIZE, 0, wanted.caller);
        }
        // SAFETY: No precondition.
        if !unsafe { bindings::vc_report_failure_now() } {
            return;
        }
        let seen = if wanted.how & bindings::vc_how_VC_MAY_SLEEP != 0 {
            self.manager.look()
        } else {
            self.manager.glance()
        };
        let failure = bindings::vc_failure {
            reason: why.text().as_char_ptr(),
            size: wanted.size,
            align: wanted.align,
            caller: wanted.caller,
            free_pages: seen.free as usize,
            largest_pages: seen.largest as usize,
            lazy_pages: seen.lazy as usize,
            fragmentation: fragmentation(seen.largest, seen.free) as u32,
            gfp: wanted.gfp,
            waits,
        };
        // SAFETY: `failure` outlives the call, and its string is static.
        unsafe { bindings::vc_report_failure(&failure) };
    }

    // ---- free ----

    /// As [`Self::free`], or `None` without a report if `addr` is outside of the arena.
    #[inline(always)]
    pub(crate) fn try_free(&self, addr: usize, atomic: bool, caller: usize) -> Option<()> {
        self.arena().page_of(addr)?;
        self.free(addr, atomic, caller);
        Some(())
    }

    /// Frees the area that starts at `addr`. If it is pinned, the last unpin finishes that. Any context but
    /// NMI if `atomic`, else sleeps.
    #[inline(always)]
    pub(crate) fn free(&self, addr: usize, atomic: bool, caller: usize) {
        // As in `get_area`.
        if NOTHING_TO_CHECK && !atomic && !trace::wants_frees() {
            if let Some(page) = self.arena().whole_page_of(addr) {
                if let Some(dying) = self.manager.begin_free_plain(page) {
                    if dying.payload() == Payload::NOTHING.into_word() {
                        return self.manager.finish_free(dying);
                    }
                    return self.end_mapped(dying);
                }
            }
        }
        Self::free_any(addr, atomic, caller, self);
    }

    /// The end of [`Self::free`] for an area in which something is mapped.
    #[inline(never)]
    fn end_mapped(&self, dying: Dying<'_>) {
        if let Some(array) = self.finish(dying) {
            self.end_array(array);
        }
    }

    // As in `get_any_area`.
    #[inline(never)]
    fn free_any(addr: usize, atomic: bool, caller: usize, this: &Self) {
        match this.begin_free(addr, Manager::begin_free) {
            Ok(Freed::Now(dying)) => this.end(dying, atomic, caller),
            Ok(Freed::Deferred(_)) => {}
            Err(e) => this.refuse(e, addr, caller),
        }
    }

    /// As [`Self::free`], and waits until nobody holds a pin on the area any more. When it returns, the
    /// PTEs are clear. Sleeps.
    pub(crate) fn free_sync(&self, addr: usize, caller: usize) {
        match self.begin_free(addr, Manager::begin_free_sync) {
            Ok(Freed::Now(dying)) => self.end(dying, false, caller),
            Ok(Freed::Deferred(ticket)) => {
                // SAFETY: `ticket` outlives the call; sleeping is allowed.
                unsafe { bindings::vc_wait_last(core::ptr::from_ref(&ticket).cast()) };
                self.unpin(ticket.into(), false, caller);
            }
            Err(e) => self.refuse(e, addr, caller),
        }
    }

    /// Whether the area of a ticket has one pin left. Any context.
    pub(crate) fn is_last(&self, ticket: Ticket) -> bool {
        self.manager.is_last(ticket)
    }

    /// Unmaps the area that starts at `addr`. Its pages stay with whoever gave or mapped them. Any
    /// context but NMI if `atomic`, else sleeps.
    #[inline(always)]
    pub(crate) fn unmap(&self, addr: usize, atomic: bool, caller: usize) {
        let page = self.arena().page_of(addr);
        let payload = page.and_then(|page| self.manager.payload(page));
        if payload.is_some_and(|word| Payload::from_word(word).owns_pages()) {
            self.unmap_and_leave(addr, atomic, caller);
        } else {
            self.free(addr, atomic, caller);
        }
    }

    #[cold]
    #[inline(never)]
    fn unmap_and_leave(&self, addr: usize, atomic: bool, caller: usize) {
        match self.begin_free(addr, Manager::begin_free_sync) {
            Ok(Freed::Now(dying)) => {
                // SAFETY: This call has ended the life of the area, which has this word.
                unsafe { self.leave(place_of_dying(&dying), dying.payload()) };
                self.end(dying, atomic, caller);
            }
            Ok(Freed::Deferred(ticket)) => {
                let page = self.arena().page_of(addr);
                if let Some(area) = page.and_then(|page| self.manager.inspect(page)) {
                    let place = Place {
                        start: area.start,
                        pages: area.pages,
                    };
                    // SAFETY: This call has freed the area, but the ticket pins it, and it has this word.
                    unsafe { self.leave(place, area.payload) };
                }
                self.unpin(ticket.into(), atomic, caller);
            }
            Err(e) => self.refuse(e, addr, caller),
        }
    }

    /// As [`Self::unmap`], or `None` without a report if `addr` is outside of the arena.
    #[inline(always)]
    pub(crate) fn try_unmap(&self, addr: usize, atomic: bool, caller: usize) -> Option<()> {
        self.arena().page_of(addr)?;
        self.unmap(addr, atomic, caller);
        Some(())
    }

    /// Leaves the pages of an area to whoever maps them. Any context but NMI.
    ///
    /// # Safety
    ///
    /// The caller has freed the area, and nobody has finished that yet. `word` is its payload.
    unsafe fn leave(&self, place: Place, word: usize) {
        let borrowed = Payload::BORROWED.into_word();
        if self.manager.replace_payload(place.start, word, borrowed) {
            // SAFETY: As the caller says; and nobody clears the area with this word any more.
            unsafe { self.mapping.leave(place, Payload::from_word(word)) };
        }
    }

    /// Frees an area of [`Self::map`] that must have `count` pages. Sleeps.
    pub(crate) fn unmap_ram(&self, addr: usize, count: u32, caller: usize) {
        if self
            .size(addr)
            .is_some_and(|size| size >> PAGE_SHIFT != count as usize)
        {
            self.misuse(vc_misuse::VC_MISUSE_COUNT, addr, caller);
            return;
        }
        self.unmap(addr, false, caller);
    }

    #[inline(always)]
    fn begin_free<'a>(
        &'a self,
        addr: usize,
        begin: impl FnOnce(&'a Manager<Surroundings>, Page) -> Result<Freed<'a>, FreeError>,
    ) -> Result<Freed<'a>, FreeError> {
        // No area has this page.
        let page = self.arena().page_of(addr).unwrap_or(Page::new(u32::MAX));
        if addr & (PAGE_SIZE - 1) != 0 {
            return Err(self.manager.refuse_unaligned(page));
        }
        begin(&self.manager, page)
    }

    /// Ends the free of an area that has lost its owner and its pins; if `atomic`, the worker does so.
    /// Each area comes here once.
    #[inline(always)]
    fn end(&self, dying: Dying<'_>, atomic: bool, caller: usize) {
        // Before anybody can have its addresses again.
        self.goes(|| (place_of_dying(&dying), dying.kind()), atomic, caller);
        if atomic {
            self.manager.defer_free(dying);
        } else if let Some(array) = self.finish(dying) {
            self.end_array(array);
        }
    }

    /// Unmaps an area, and makes it lazy. Returns the address of an array that it had, if that is in an
    /// area of its own, to be freed, too. Sleeps.
    #[inline(always)]
    fn finish(&self, dying: Dying<'_>) -> Option<usize> {
        let place = place_of_dying(&dying);
        if let Some(id) = dying.take_note() {
            self.forget(id, place);
        }
        // SAFETY: The manager makes one `Dying` for each life of an area, after its owner and its
        // pins have let go of it. This life has this word.
        let array = unsafe {
            self.mapping
                .clear(place, Payload::from_word(dying.payload()))
        };
        self.manager.finish_free(dying);
        array
    }

    /// Frees the area that holds the array of a freed one; that area may have such an array, too. Sleeps.
    #[cold]
    fn end_array(&self, array: usize) {
        let mut next = Some(array);
        while let Some(addr) = next.take() {
            match self.begin_free(addr, Manager::begin_free) {
                Ok(Freed::Now(dying)) => {
                    self.goes(|| (place_of_dying(&dying), dying.kind()), false, 0);
                    next = self.finish(dying);
                }
                // The last unpin frees it.
                Ok(Freed::Deferred(_)) => {}
                Err(e) => self.refuse(e, addr, 0),
            }
        }
    }

    /// An area goes: tells those who trace, and looks for live objects in it.
    #[inline(always)]
    fn goes(&self, area: impl Fn() -> (Place, Kind), deferred: bool, caller: usize) {
        if trace::wants_frees() {
            self.trace_free(area(), deferred, caller);
        }
        self.mapping.check_freed(|| area().0);
    }

    #[cold]
    #[inline(never)]
    fn trace_free(&self, (place, kind): (Place, Kind), deferred: bool, caller: usize) {
        trace::free(&trace::Gone {
            addr: self.arena().address(place.start),
            size: (place.pages as usize) << PAGE_SHIFT,
            kind,
            deferred,
            lazy: (self.manager.lazy_pages(), self.manager.lazy_max()),
            caller,
        });
    }

    /// Takes back what the kernel asked about an area that goes. Sleeps.
    #[cold]
    fn forget(&self, id: u32, place: Place) {
        let (addr, size) = (
            self.arena().address(place.start),
            (place.pages as usize) << PAGE_SHIFT,
        );
        // SAFETY: The life of this area has ended, and the next one has not begun.
        unsafe { bindings::vc_companion_forget(id, addr, size) };
    }

    /// Finishes all deferred frees, also those that the worker has begun. Sleeps. Not for the worker.
    pub(crate) fn finish_deferred(&self) {
        self.end_all(self.manager.take_deferred());
        surroundings::wait_for_worker();
    }

    /// The worker: finishes the deferred frees that nobody has begun. Sleeps.
    pub(crate) fn work_deferred(&self) {
        #[cfg(faults)]
        surroundings::linger(crate::va::faults::Fault::LateWorker);
        let taken = self.manager.take_deferred();
        #[cfg(faults)]
        surroundings::linger(crate::va::faults::Fault::SlowWorker);
        self.end_all(taken);
    }

    fn end_all<'a>(&'a self, taken: impl Iterator<Item = Dying<'a>>) {
        for dying in taken {
            if let Some(array) = self.finish(dying) {
                self.end_array(array);
            }
            surroundings::resched();
        }
    }

    #[cold]
    fn refuse(&self, e: FreeError, addr: usize, caller: usize) {
        self.misuse(misuse(e), addr, caller);
    }

    #[cold]
    fn misuse(&self, misuse: vc_misuse, addr: usize, caller: usize) {
        // SAFETY: No precondition.
        unsafe { bindings::vc_report_misuse(misuse, addr, caller) };
    }

    // ---- pins and lookup ----

    /// Pins the area that holds `addr`. Any context.
    #[inline]
    pub(crate) fn pin(&self, addr: usize) -> Option<Pin> {
        let page = self.arena().page_of(addr)?;
        self.manager.pin(page).map(|(pin, _)| pin)
    }

    /// Gives a pin back. Any context but NMI if `atomic`, else sleeps.
    #[inline]
    pub(crate) fn unpin(&self, pin: Pin, atomic: bool, caller: usize) {
        match self.manager.unpin(pin) {
            Ok(Unpinned::Live) => {}
            // SAFETY: No precondition but the context.
            Ok(Unpinned::Dying) => unsafe { bindings::vc_wake_last() },
            Ok(Unpinned::Last(dying)) => self.end(dying, atomic, caller),
            Err(_) => self.misuse(vc_misuse::VC_MISUSE_BAD_UNPIN, 0, caller),
        }
    }

    /// Start and bytes of the area that holds `addr`. Any context.
    #[inline(always)]
    pub(crate) fn find(&self, addr: usize) -> Option<(usize, usize)> {
        let page = self.arena().page_of(addr)?;
        let area = self.manager.lookup(page)?;
        let start = self.arena().address(area.start);
        Some((start, (area.pages as usize) << PAGE_SHIFT))
    }

    /// The area that holds `addr`, or whose guard page does. Any context.
    pub(crate) fn identify(&self, addr: usize) -> Option<bindings::vc_life> {
        let page = self.arena().page_of(addr)?;
        let (ticket, seen) = self
            .manager
            .identify(page)
            .or_else(|| self.manager.identify(page_before(page)?))?;
        let (id, version) = ticket.parts();
        let payload = Payload::from_word(seen.payload);
        let array = payload.array().unwrap_or(0) as *mut PagePtr;
        Some(bindings::vc_life {
            id,
            version,
            start: self.arena().address(seen.start),
            size: (seen.pages as usize) << PAGE_SHIFT,
            use_: trace::use_of(seen.kind),
            given: payload.is_foreign(),
            user: matches!(seen.kind, Kind::VmallocUser | Kind::VmapUser),
            payload: seen.payload,
            array,
            run: payload.run().unwrap_or(core::ptr::null_mut()),
            caller: self.manager.caller(seen.caller),
        })
    }

    /// Where the area of [`Self::identify`] is. Any context.
    #[inline(always)]
    pub(crate) fn locate(&self, addr: usize) -> Option<bindings::vc_bounds> {
        let page = self.arena().page_of(addr)?;
        let (ticket, found) = self
            .manager
            .locate(page)
            .or_else(|| self.manager.locate(page_before(page)?))?;
        let (id, version) = ticket.parts();
        Some(bindings::vc_bounds {
            id,
            version,
            start: self.arena().address(found.start),
            size: (found.pages as usize) << PAGE_SHIFT,
        })
    }

    /// Bytes of the area that starts at `addr`. Any context.
    pub(crate) fn size(&self, addr: usize) -> Option<usize> {
        let (start, size) = self.find(addr)?;
        (start == addr).then_some(size)
    }

    /// Bytes of memory of the area that starts at `addr`: fewer than its size, if it has shrunk. Only for
    /// the area's owner.
    pub(crate) fn present(&self, addr: usize) -> Option<usize> {
        let page = self.arena().page_of(addr)?;
        let area = self.manager.inspect(page)?;
        let pages = Payload::from_word(area.payload).present(area.pages);
        (addr == self.arena().address(area.start)).then_some((pages as usize) << PAGE_SHIFT)
    }

    /// Gives back the memory behind the first `size` bytes of the area at `addr`, which the caller owns,
    /// if it has pages of its own that nobody else may use. Sleeps.
    pub(crate) fn shrink(&self, addr: usize, size: usize, gfp: u32, caller: usize) {
        let Some(page) = self.arena().page_of(addr) else {
            return;
        };
        let Some(pin) = self.pin(addr) else {
            return;
        };
        let area = self.manager.identify(page);
        let alone = |(ticket, area): &(Ticket, Snapshot)| {
            let (id, _) = ticket.parts();
            // SAFETY: No precondition.
            let may = unsafe { bindings::vc_companion_may_shrink(id) };
            may && area.kind == Kind::Vmalloc && area.pins() == 1
        };
        if let Some((ticket, area)) = area.filter(alone) {
            let place = Place {
                start: area.start,
                pages: area.pages,
            };
            let keep = self
                .mapping
                .keep_whole(place, size.div_ceil(PAGE_SIZE) as u32);
            let payload = Payload::from_word(area.payload);
            // SAFETY: The area was published with this word, and the pin keeps it.
            let cut = unsafe { self.mapping.cut(place, payload, keep, gfp) };
            if let Some(cut) = cut {
                if self
                    .manager
                    .replace_payload(place.start, area.payload, cut.into_word())
                {
                    let (id, _) = ticket.parts();
                    // SAFETY: No precondition.
                    unsafe { bindings::vc_companion_shrink(id, keep as usize) };
                    // SAFETY: The new word is in place, and the owner asks for it.
                    unsafe { self.mapping.shrink(place, payload, keep) };
                } else {
                    // SAFETY: It is not in use.
                    unsafe { self.mapping.uncut(payload, cut) };
                }
            }
        }
        self.unpin(pin, false, caller);
    }

    /// Start, bytes and use of the area that holds `addr`. Any context.
    pub(crate) fn describe(&self, addr: usize) -> Option<(usize, usize, Kind)> {
        let area = self.manager.inspect(self.arena().page_of(addr)?)?;
        let start = self.arena().address(area.start);
        Some((start, (area.pages as usize) << PAGE_SHIFT, area.kind))
    }

    /// Shows the live areas from address `from` on to `visit`, in ascending order, as long as that
    /// returns true. Any context that suits `visit`.
    pub(crate) fn walk(&self, from: usize, mut visit: impl FnMut(Seen) -> bool) {
        let page = match self.arena().page_of(from) {
            Some(page) => page,
            None if from < self.arena().address(Page::new(0)) => Page::new(0),
            None => return,
        };
        self.manager.walk(page, &mut |walked| {
            let Some(area) = walked.live else {
                return true;
            };
            visit(Seen {
                addr: self.arena().address(area.start),
                size: (area.pages as usize) << PAGE_SHIFT,
                caller: self.manager.caller(area.caller),
                pins: area.pins(),
            })
        });
    }

    // ---- the end ----

    /// Unmaps and reports every area that its owner did not free. Sleeps. Call it when nobody can
    /// allocate or free any more.
    pub(crate) fn reclaim_leaks(&self) {
        // SAFETY: No precondition but the context.
        unsafe { bindings::vc_finish_rcu_frees() };
        self.finish_deferred();
        let mut pinned = false;
        let mut from = Page::new(0);
        loop {
            let mut found = None;
            self.manager.walk(from, &mut |walked| {
                found = walked.live;
                found.is_none()
            });
            let Some(area) = found else {
                break;
            };
            from = area.start.plus(area.pages);
            // SAFETY: No precondition.
            unsafe {
                bindings::vc_report_leak(
                    (area.pages as usize) << PAGE_SHIFT,
                    area.caller,
                    area.pins(),
                );
            }
            if !area.dying() {
                if let Ok(Freed::Now(dying)) = self.manager.begin_free(area.start) {
                    self.end(dying, false, 0);
                    continue;
                }
            }
            let place = Place {
                start: area.start,
                pages: area.pages,
            };
            self.goes(|| (place, area.kind), false, 0);
            let seen = self.manager.identify(area.start);
            if let Some((ticket, _)) = seen.filter(|(_, seen)| seen.noted()) {
                self.forget(ticket.parts().0, place);
            }
            // SAFETY: The area is pinned, so nobody else has cleared it. The module goes, so nobody is
            // left to use or unpin it. The area has this word. A given array in the arena is a leak of its own.
            let _ = unsafe { self.mapping.clear(place, Payload::from_word(area.payload)) };
            pinned = true;
        }
        self.manager.purge(Purge::Full);
        if pinned {
            // These are not in the manager's hands.
            self.manager.flush_all();
        }
    }
}

/// Whether this kernel looks at nothing when an area goes in which nothing is mapped.
const NOTHING_TO_CHECK: bool = !cfg!(any(
    CONFIG_DEBUG_LOCK_ALLOC,
    CONFIG_DEBUG_OBJECTS_FREE,
    CONFIG_DEBUG_PAGEALLOC
));

/// The class of a usual request for address space. In bytes.
#[inline(always)]
fn class_of(size: usize, align: usize) -> Option<Class> {
    // A size of 0 becomes far too many pages.
    let last = size.wrapping_sub(1) >> PAGE_SHIFT;
    if align <= PAGE_SIZE {
        return Class::near(last, 0);
    }
    let align = NonZeroUsize::new(align)?;
    if !align.is_power_of_two() {
        return None;
    }
    let exponent = (align.trailing_zeros() as usize).wrapping_sub(PAGE_SHIFT);
    Class::near(last, exponent)
}

/// The last page of the area whose guard page `page` may be.
fn page_before(page: Page) -> Option<Page> {
    (page != Page::new(0)).then(|| page.minus(GUARD))
}

#[inline(always)]
fn place_of_dying(dying: &Dying<'_>) -> Place {
    Place {
        start: dying.start(),
        pages: dying.pages(),
    }
}

/// The use that a tracepoint names for an area of [`Allocator::map`]. Each caller passes a constant `kind`,
/// so that the compiler computes this.
#[inline(always)]
fn map_use(kind: Kind) -> vc_use {
    if kind == Kind::VmMapRam {
        vc_use_VC_USE_RAM
    } else {
        vc_use_VC_USE_VMAP
    }
}

#[inline(always)]
fn place_of(area: &Area<'_>) -> Place {
    Place {
        start: area.start(),
        pages: area.pages(),
    }
}

/// The least pages of a shard: 64 MiB.
const SHARD_PAGES_MIN: u32 = 1 << (26 - PAGE_SHIFT);

/// Above this number of pages the kernel flushes everything instead of page by page
/// (tlb_single_page_flush_ceiling).
const FLUSH_CEILING: u32 = 33;

/// The first purge comes at an eighth of the limit. An area that goes round costs less than a new one, and what is
/// used little would never go round; three flushes are not many for a machine.
const EARLY_PURGES: u32 = 3;

/// As in-tree: fls(CPUs) x 32 MiB. But until a purge comes, four times that may be lazy: no more than a 32nd of the arena.
fn lazy_max_default(online: u32, pages: u32) -> u32 {
    let max = (u32::BITS - online.leading_zeros()) << (25 - PAGE_SHIFT);
    max.min(pages / 32)
}
