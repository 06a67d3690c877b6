// SPDX-License-Identifier: GPL-2.0

//! Area descriptors: what the manager knows of one range of the arena, and who may touch it.
//!
//! A descriptor's memory stays a descriptor as long as anybody may look at it (see [`super::descriptors`]), so a
//! reader needs no lock. One word, the *state*, tells a reader whether to trust what it reads:
//! it has version, pins and state together, so that lookup, pin and free agree by compare-and-swap on
//! that word alone. The version grows with each free; a reader that finds it
//! unchanged has read one life of the area. It wraps after 2^32 lives of one descriptor: a reader would have to
//! be away for all of these, and a pin that was given back would have to be given back again after them.
//!
//! The idea comes from the reference-counted, versioned mapping cache of the speculative page fault
//! patches (2009): there a lookup pins the mapping that it found, and checks a version before it trusts
//! it.
//!
//! # Invariants
//!
//! - Only the holder of an area's token ([`Area`], [`Dying`], or its place in a magazine or a
//!   list) writes the descriptor's other fields; and never while it is Live, except that the area's owner
//!   may replace the payload.
//! - Pins are taken on a Live area only, and the state leaves Dying only when there are none.
//!
//! [`Area`]: crate::va::Area
//! [`Dying`]: crate::va::Dying

use crate::{
    sys::{
        sync::{
            fence, spin_loop, AtomicU32, AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
        Page,
    },
    va::{
        area::{class::Class, link::Link},
        count::callers::{CallerId, OTHERS},
        space::range::GUARD,
    },
};

/// Names an area, and its descriptor: the first page. An area takes two pages at least, its own and a guard page: so
/// no two areas that exist at one time begin in the same pair of pages, and each pair has one descriptor. A name that
/// says where the area begins lets an allocation return before it has read the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(u32);

/// No descriptor.
pub const NO_ID: Id = Id(u32::MAX);

impl Id {
    /// The area that starts at `page`, if one does.
    #[inline(always)]
    pub const fn of(page: Page) -> Self {
        Self(page.get())
    }

    /// First page of the area.
    #[inline(always)]
    pub const fn start(self) -> Page {
        Page::new(self.0)
    }

    /// The place of its descriptor in a table of all.
    #[inline(always)]
    pub const fn place(self) -> usize {
        (self.0 / (1 + GUARD)) as usize
    }

    /// The name as one word, for atomics and for handles that go outside.
    #[inline(always)]
    pub fn word(self) -> u32 {
        self.0
    }

    /// The name that [`Self::word`] made into `word`.
    #[inline(always)]
    pub const fn from_word(word: u32) -> Self {
        Self(word)
    }
}

/// What an area is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Pages of its own.
    Vmalloc = 1,
    /// Pages of the caller.
    Vmap = 2,
    /// Pages of the caller, short-lived.
    VmMapRam = 3,
    /// Address space only.
    VaOnly = 4,
    /// As `Vmalloc`, and may be mapped to user space.
    VmallocUser = 5,
    /// As `Vmap`, and may be mapped to user space.
    VmapUser = 6,
}

impl Kind {
    fn from_bits(bits: u32) -> Self {
        match bits & 7 {
            1 => Self::Vmalloc,
            2 => Self::Vmap,
            3 => Self::VmMapRam,
            5 => Self::VmallocUser,
            6 => Self::VmapUser,
            _ => Self::VaOnly,
        }
    }
}

const STATE: u64 = 0x3;
const FREE: u64 = 0;
const LIVE: u64 = 1;
const DYING: u64 = 2;
/// The range of a free descriptor is changing.
const SHAPING: u64 = 1 << 2;
/// Somebody keeps something for this life: see [`Descriptor::note`].
const NOTED: u64 = 1 << 3;
const PIN: u64 = 1 << 8;
const PINS: u64 = 0x00ff_ffff << 8;
const VERSION_SHIFT: u32 = 32;

// In the tag, above the class.
const KIND_SHIFT: u32 = 16;
/// The kind's bits. All 0 while somebody has the area and has not published it yet.
const KIND: u64 = 7 << KIND_SHIFT;
const CPU_SHIFT: u32 = 19;
const CALLER_SHIFT: u32 = 32;

/// Where an allocation comes from: its caller and its CPU, as a descriptor notes them.
#[derive(Clone, Copy)]
pub struct Origin(u64);

impl Origin {
    /// `caller` on `cpu`.
    pub const fn new(caller: CallerId, cpu: u32) -> Self {
        Self((caller as u64) << CALLER_SHIFT | ((cpu & 0x1fff) << CPU_SHIFT) as u64)
    }

    /// The caller.
    #[inline(always)]
    pub fn caller(self) -> CallerId {
        (self.0 >> CALLER_SHIFT) as CallerId
    }

    /// The tag of an area of `class` that comes from there, without a kind.
    #[inline(always)]
    fn tag(self, class: Option<Class>) -> u64 {
        self.0 | u64::from(Class::bits(class))
    }
}

fn version_of(state: u64) -> u32 {
    (state >> VERSION_SHIFT) as u32
}

/// The state word of the next life, free and without pins. The holder of the area learns by it whether
/// the last life was noted.
fn next_life(state: u64) -> u64 {
    const VERSION: u64 = !0 << VERSION_SHIFT;
    (state & (VERSION | NOTED)).wrapping_add(1 << VERSION_SHIFT) | FREE
}

/// What the manager knows of one area. Each descriptor fills a cache line: so two CPUs that have neighbouring
/// areas do not take a line from each other.
#[repr(align(64))]
pub struct Descriptor {
    state: AtomicU64,
    payload: AtomicUsize,
    /// A [`Page`].
    start: AtomicU32,
    pages: AtomicU32,
    /// [`Class`] (the lowest 16 bits), [`Kind`], and the [`Origin`].
    tag: AtomicU64,
    /// A [`Link`].
    link: AtomicU32,
}

impl core::fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.snapshot().fmt(f)
    }
}

impl Descriptor {
    /// A descriptor of no area, whose last life had `version`.
    pub fn new(version: u32) -> Self {
        Self {
            state: AtomicU64::new(u64::from(version) << VERSION_SHIFT | FREE),
            payload: AtomicUsize::new(0),
            start: AtomicU32::new(0),
            pages: AtomicU32::new(0),
            link: AtomicU32::new(Link::END.word()),
            tag: AtomicU64::new(Origin::new(OTHERS, 0).tag(None) | KIND),
        }
    }

    /// First page.
    #[inline]
    pub fn start(&self) -> Page {
        Page::new(self.start.load(Relaxed))
    }

    /// Pages without the guard page.
    #[inline]
    pub fn pages(&self) -> u32 {
        self.pages.load(Relaxed)
    }

    /// Its class; areas that have none go back to the extents.
    #[inline]
    pub fn class(&self) -> Option<Class> {
        Class::from_bits(self.tag.load(Relaxed) as u16)
    }

    /// Gives the descriptor a range. Only for the holder of an area that is not Live.
    pub fn shape(&self, start: Page, pages: u32, class: Option<Class>) {
        // A new life, so that `range` notices if it read parts of two.
        let state = next_life(self.state.load(Relaxed));
        self.state.store(state | SHAPING, Relaxed);
        // Pairs with the acquire fences of the readers: a reader of the new range also reads the
        // version that ended the old life.
        fence(Release);
        self.start.store(start.get(), Relaxed);
        self.pages.store(pages, Relaxed);
        // The caller stays that of the last life.
        let origin = Origin::new(self.caller(), 0);
        self.tag.store(origin.tag(class) | KIND, Relaxed);
        // A reader of this life also reads its range.
        self.state.store(state, Release);
    }

    /// First page and pages, both of one life, in any state; `None` if they are changing.
    pub fn range(&self) -> Option<(Page, u32)> {
        let state = self.state.load(Acquire);
        let range = (self.start(), self.pages());
        // As in `snapshot`.
        fence(Acquire);
        let whole = version_of(self.state.load(Relaxed)) == version_of(state);
        (whole && state & SHAPING == 0).then_some(range)
    }

    /// Notes where an allocation of `class` comes from. Only for its holder.
    #[inline(always)]
    pub fn claim(&self, class: Option<Class>, origin: Origin) {
        // As in `shape`.
        fence(Release);
        self.tag.store(origin.tag(class), Relaxed);
    }

    /// Undoes [`Self::claim`].
    pub fn unclaim(&self) {
        self.tag.fetch_or(KIND, Relaxed);
    }

    /// Whether somebody has the area and has not published it yet.
    pub fn is_claimed(&self) -> bool {
        self.tag.load(Relaxed) & KIND == 0
    }

    /// [`Self::claim`] and [`Self::publish`] in one.
    #[inline(always)]
    pub fn claim_live(&self, class: Option<Class>, origin: Origin, payload: usize, kind: Kind) {
        // As in `shape`.
        fence(Release);
        self.payload.store(payload, Relaxed);
        let tag = origin.tag(class) | (kind as u64) << KIND_SHIFT;
        self.tag.store(tag, Relaxed);
        let state = self.state.load(Relaxed);
        self.state.store(state | LIVE, Release);
    }

    /// Makes the area Live. Only for its holder, which has claimed it.
    #[inline(always)]
    pub fn publish(&self, payload: usize, kind: Kind) {
        // As in `shape`.
        fence(Release);
        self.payload.store(payload, Relaxed);
        let tag = self.tag.load(Relaxed);
        self.tag.store(tag | (kind as u64) << KIND_SHIFT, Relaxed);
        let state = self.state.load(Relaxed);
        self.state.store(state | LIVE, Release);
    }

    /// Everything that the descriptor says of a Live area, all of one life; `None` if it is not Live.
    #[inline]
    pub fn snapshot(&self) -> Option<Snapshot> {
        loop {
            let state = self.state.load(Acquire);
            if state & STATE == FREE {
                return None;
            }
            let tag = self.tag.load(Relaxed);
            let snapshot = Snapshot {
                state,
                start: self.start(),
                pages: self.pages(),
                payload: self.payload.load(Relaxed),
                caller: Origin(tag).caller(),
                kind: Kind::from_bits((tag >> KIND_SHIFT) as u32),
                cpu: tag as u32 >> CPU_SHIFT,
            };
            // Pairs with the release fences of the writers.
            fence(Acquire);
            if version_of(self.state.load(Relaxed)) == version_of(state) {
                return Some(snapshot);
            }
        }
    }

    /// The Live (or pinned and dying) area, if it holds `page`: only what a lookup needs.
    #[inline(always)]
    pub fn find(&self, page: Page) -> Option<Found> {
        self.find_life(page).map(|(_, found)| found)
    }

    /// As [`Self::find`], with the version of the life.
    #[inline(always)]
    pub fn find_life(&self, page: Page) -> Option<(u32, Found)> {
        loop {
            let state = self.state.load(Acquire);
            if state & STATE == FREE {
                return None;
            }
            let start = self.start();
            let pages = self.pages();
            // As in `snapshot`.
            fence(Acquire);
            if version_of(self.state.load(Relaxed)) != version_of(state) {
                continue;
            }
            return page
                .is_in(start, pages)
                .then_some((version_of(state), Found { start, pages }));
        }
    }

    /// Pins the Live area, if it holds `page`. Returns the version of the life that it keeps. Any
    /// context.
    #[inline(always)]
    pub fn pin(&self, page: Page) -> Option<(u32, Found)> {
        loop {
            let state = self.state.load(Acquire);
            if state & STATE != LIVE || state & PINS == PINS {
                return None;
            }
            let start = self.start();
            let pages = self.pages();
            if !page.is_in(start, pages) {
                return None;
            }
            // The reads were of the life that is pinned here, or the exchange fails.
            fence(Acquire);
            if self
                .state
                .compare_exchange(state, state + PIN, Acquire, Relaxed)
                .is_ok()
            {
                return Some((version_of(state), Found { start, pages }));
            }
        }
    }

    /// Gives back a pin of life `version`. `None`, and nothing changes, if that life has no pin. Any
    /// context.
    #[inline(always)]
    pub fn unpin(&self, version: u32) -> Option<Unpin> {
        let mut state = self.state.load(Relaxed);
        loop {
            if version_of(state) != version || state & PINS == 0 {
                return None;
            }
            let dying = state & STATE == DYING;
            let (new, left) = match dying && state & PINS == PIN {
                true => (next_life(state), Unpin::Last),
                false if dying => (state - PIN, Unpin::Dying),
                false => (state - PIN, Unpin::Live),
            };
            match self.state.compare_exchange(state, new, AcqRel, Relaxed) {
                Ok(_) => return Some(left),
                Err(now) => state = now,
            }
        }
    }

    /// As [`Self::kill`], of an area that nobody has pinned or noted. False, and nothing has changed, if it
    /// is another one, or somebody changed its state meanwhile.
    #[inline(always)]
    pub fn kill_plain(&self, page: Page) -> bool {
        let state = self.state.load(Acquire);
        // No pin, no note.
        if state as u32 != LIVE as u32 || self.start() != page {
            return false;
        }
        // `next_life` of such a state.
        let next = state.wrapping_add((1 << VERSION_SHIFT) + FREE - LIVE);
        // As in `end_life`.
        fence(Acquire);
        self.state
            .compare_exchange(state, next, AcqRel, Relaxed)
            .is_ok()
    }

    /// Ends the life of a Live area that starts at `page`. Any context; of several callers one wins.
    #[inline(always)]
    pub fn kill(&self, page: Page) -> Kill {
        if self.kill_plain(page) {
            return Kill::Dead;
        }
        self.end_life(page, 0)
    }

    /// As [`Self::kill`]; but if the area is pinned, the caller has a pin, too, from now on.
    pub fn kill_and_pin(&self, page: Page) -> Kill {
        self.end_life(page, PIN)
    }

    #[inline(always)]
    fn end_life(&self, page: Page, pin: u64) -> Kill {
        loop {
            let state = self.state.load(Acquire);
            if state & STATE != LIVE {
                return Kill::NotLive;
            }
            if self.start() != page {
                return Kill::Elsewhere;
            }
            let (new, result) = if state & PINS == 0 {
                (next_life(state), Kill::Dead)
            } else {
                (
                    (state & !STATE | DYING) + pin,
                    Kill::Pinned(version_of(state)),
                )
            };
            if pin != 0 && state & PINS == PINS {
                // No room for another pin, until somebody gives one back.
                spin_loop();
                continue;
            }
            // The start was read in the life that is ended here, or the exchange fails: pairs with
            // the release fence in `shape`.
            fence(Acquire);
            if self
                .state
                .compare_exchange(state, new, AcqRel, Relaxed)
                .is_ok()
            {
                return result;
            }
        }
    }

    /// Notes that somebody keeps something for life `version`, which must go when that life has ended:
    /// [`Self::take_note`] tells its holder. False if it has ended already. Any context.
    pub fn note(&self, version: u32) -> bool {
        let mut state = self.state.load(Relaxed);
        loop {
            // A caller knows the version of a Live area alone, and it changes when the life ends.
            if version_of(state) != version {
                return false;
            }
            match self
                .state
                .compare_exchange(state, state | NOTED, AcqRel, Relaxed)
            {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
    }

    /// Whether [`Self::note`] was called in the life that has ended. Only for the holder of the area, once,
    /// before the next life begins.
    #[inline(always)]
    pub fn take_note(&self) -> bool {
        let state = self.state.load(Relaxed);
        let noted = state & NOTED != 0;
        if noted {
            // The area is Free, and its holder has it: nobody else writes the word.
            self.state.store(state & !NOTED, Relaxed);
        }
        noted
    }

    /// Whether life `version` was ended, and one pin is left of it.
    pub fn is_last(&self, version: u32) -> bool {
        let state = self.state.load(Acquire);
        version_of(state) == version && state & STATE == DYING && state & PINS == PIN
    }

    /// The version of the current life.
    pub fn version(&self) -> u32 {
        version_of(self.state.load(Acquire))
    }

    /// The payload that the area was published with, or that replaced it.
    #[inline]
    pub fn payload(&self) -> usize {
        self.payload.load(Relaxed)
    }

    /// Replaces payload `old`. Only for the area's owner, or the holder of an area that is not Live. False
    /// if the payload was another.
    pub fn replace_payload(&self, old: usize, new: usize) -> bool {
        self.payload
            .compare_exchange(old, new, AcqRel, Relaxed)
            .is_ok()
    }

    /// The last caller that asked for the area.
    #[inline]
    pub fn caller(&self) -> CallerId {
        Origin(self.tag.load(Relaxed)).caller()
    }

    /// The last use of the area.
    #[inline]
    #[allow(dead_code, reason = "only tests on the host call it")]
    pub fn kind(&self) -> Kind {
        Kind::from_bits((self.tag.load(Relaxed) >> KIND_SHIFT) as u32)
    }

    /// What the link word says.
    #[inline(always)]
    pub fn link(&self) -> Link {
        Link::from_word(self.link.load(Relaxed))
    }

    /// Sets the link word. Only for the holder of the area, which puts it into a list or a magazine.
    #[inline(always)]
    pub fn set_link(&self, link: Link) {
        self.link.store(link.word(), Relaxed);
    }
}

/// What [`Descriptor::unpin`] leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpin {
    /// A Live area, pinned by others or not.
    Live,
    /// An area that was freed meanwhile, and that others have pinned.
    Dying,
    /// The same without pins: the caller now holds it, and must finish the free.
    Last,
}

/// How [`Descriptor::kill`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// The caller now holds the area.
    Dead,
    /// The last unpin will end the life with this version.
    Pinned(u32),
    /// Live, but it starts at another page.
    Elsewhere,
    /// Freed already, or never allocated.
    NotLive,
}

/// Where an area is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// First page.
    pub start: Page,
    /// Pages without the guard page.
    pub pages: u32,
}

/// One consistent view of a Live (or pinned and dying) area.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    state: u64,
    /// First page.
    pub start: Page,
    /// Pages without the guard page.
    pub pages: u32,
    /// The payload that it was published with.
    pub payload: usize,
    /// The caller that asked for the area.
    pub caller: CallerId,
    /// Its use.
    pub kind: Kind,
    /// The CPU that allocated it.
    pub cpu: u32,
}

impl Snapshot {
    /// Pins held when it was taken.
    pub fn pins(&self) -> u32 {
        ((self.state & PINS) >> 8) as u32
    }

    /// Freed, but still pinned.
    pub fn dying(&self) -> bool {
        self.state & STATE == DYING
    }

    /// Somebody keeps something for this life: see [`Descriptor::note`].
    pub fn noted(&self) -> bool {
        self.state & NOTED != 0
    }

    /// The life that was seen.
    pub fn version(&self) -> u32 {
        version_of(self.state)
    }

    /// Whether the area holds `page`, guard page excluded.
    pub fn covers(&self, page: Page) -> bool {
        page.is_in(self.start, self.pages)
    }
}
