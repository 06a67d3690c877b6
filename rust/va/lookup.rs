// SPDX-License-Identifier: GPL-2.0

//! From an address to its area by one or two loads, pins, and the walk: all without a lock.

use crate::{
    sys::{
        sync::{Ordering::Relaxed, Reading},
        Page,
    },
    va::{
        area::{Descriptor, Found, Id, Link, Snapshot, Unpin},
        count::callers::CallerId,
        switches::Switch,
        BadPin, Dying, Env, Manager,
    },
};

/// One life of one area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(super) id: Id,
    pub(super) version: u32,
}

impl Ticket {
    /// That of an area that begins at `start`.
    #[inline(always)]
    fn of(start: Page, version: u32) -> Self {
        let id = Id::of(start);
        Self { id, version }
    }

    /// The number of the area, and the version of its life.
    pub fn parts(self) -> (u32, u32) {
        (self.id.word(), self.version)
    }

    /// The ticket that [`Self::parts`] took apart.
    pub fn from_parts(number: u32, version: u32) -> Self {
        Self {
            id: Id::from_word(number),
            version,
        }
    }
}

/// Keeps an area mapped. Its holder must give it back with [`Manager::unpin`].
#[must_use = "a pin that is not given back keeps the area mapped"]
#[derive(Debug, PartialEq, Eq)]
pub struct Pin(pub(super) Ticket);

impl Pin {
    /// The pin as one word, never 0.
    pub fn into_raw(self) -> u64 {
        u64::from(self.0.version) << 32 | (u64::from(self.0.id.word()) + 1)
    }

    /// The pin that [`Self::into_raw`] made into `raw`. [`Manager::unpin`] detects nonsense.
    pub fn from_raw(raw: u64) -> Self {
        Self(Ticket {
            id: Id::from_word((raw as u32).wrapping_sub(1)),
            version: (raw >> 32) as u32,
        })
    }
}

impl From<Ticket> for Pin {
    /// The pin of [`Manager::begin_free_sync`].
    fn from(ticket: Ticket) -> Self {
        Self(ticket)
    }
}

/// What [`Manager::unpin`] leaves behind.
#[must_use]
#[derive(Debug)]
pub enum Unpinned<'m> {
    /// An area that is allocated.
    Live,
    /// An area that was freed meanwhile, and that others have pinned: [`Manager::is_last`] may be true now.
    Dying,
    /// The same without pins: the caller must finish the free.
    Last(Dying<'m>),
}

/// What a walk shows.
#[derive(Clone, Copy, Debug)]
pub struct Walked {
    /// First page.
    pub start: Page,
    /// Pages, without the guard page.
    pub pages: u32,
    /// What its descriptor says, if it is live; `None` if it was freed and not yet dissolved.
    pub live: Option<Snapshot>,
    /// It is lazy. An area that is neither live nor lazy nor claimed is clean and in stock.
    pub lazy: bool,
    /// Somebody has allocated it, and not published it yet.
    pub claimed: bool,
}

/// A walk saw this of one area, in the order of [`Walked`].
struct Seen {
    live: Option<Snapshot>,
    range: (Page, u32),
    link: Link,
    claimed: bool,
}

/// Pages of the arena to walk before other tasks may run.
const PART: u32 = 1 << 16;

impl<E: Env> Manager<E> {
    /// Tries the area last found in the window of `page`, or if there is none, one that starts at
    /// `page`; then the one that the index names. Returns where the area is, and the answer of
    /// `ask`, which is `None` for an area without `page`.
    #[inline(always)]
    fn find<R>(
        &self,
        page: Page,
        ask: impl Fn(&Descriptor) -> Option<(Found, R)>,
    ) -> Option<(Found, R)> {
        let reading = Reading::begin();
        let window = self.index.window(page)?;
        let cached = self.switch(Switch::LookupCache);
        if cached {
            let guess = window.guess(page);
            if let Some(guess) = guess.and_then(|id| self.descriptors.look(id, &reading)) {
                // But if a Live area holds the page, it is the right one.
                let answer = ask(guess);
                if answer.is_some() {
                    return answer;
                }
            }
        }
        let id = window.get(page);
        let (found, answer) = ask(self.descriptors.look(id, &reading)?)?;
        if cached {
            window.remember(page, id, found.start, found.pages);
        }
        Some((found, answer))
    }

    /// The Live area that holds `page`; `None` for a guard page. Any context, no lock.
    #[inline(always)]
    pub fn lookup(&self, page: Page) -> Option<Found> {
        let (found, ()) = self.find(page, |descriptor| Some((descriptor.find(page)?, ())))?;
        Some(found)
    }

    /// As [`Self::lookup`], with the ticket of the life.
    #[inline(always)]
    pub fn locate(&self, page: Page) -> Option<(Ticket, Found)> {
        let (found, ticket) = self.find(page, |descriptor| {
            let (version, found) = descriptor.find_life(page)?;
            Some((found, Ticket::of(found.start, version)))
        })?;
        Some((ticket, found))
    }

    /// As [`Self::lookup`], with everything that the descriptor says.
    pub fn inspect(&self, page: Page) -> Option<Snapshot> {
        self.identify(page).map(|(_, seen)| seen)
    }

    /// As [`Self::inspect`], with the ticket of the life that it saw.
    pub fn identify(&self, page: Page) -> Option<(Ticket, Snapshot)> {
        let (_, seen) = self.find(page, |descriptor| {
            let seen = descriptor.snapshot().filter(|seen| seen.covers(page))?;
            let (start, pages) = (seen.start, seen.pages);
            let ticket = Ticket::of(start, seen.version());
            Some((Found { start, pages }, (ticket, seen)))
        })?;
        Some(seen)
    }

    /// Notes that the caller keeps something for the life of a ticket: [`Dying::take_note`] tells when that
    /// must go. False if that life is over already. Any context.
    pub fn note(&self, ticket: Ticket) -> bool {
        let reading = Reading::begin();
        self.descriptors
            .look(ticket.id, &reading)
            .is_some_and(|d| d.note(ticket.version))
    }

    /// Pins the Live area that holds `page`: it stays mapped until [`Self::unpin`]. Any context, no
    /// lock.
    #[inline(always)]
    pub fn pin(&self, page: Page) -> Option<(Pin, Found)> {
        let (found, pin) = self.find(page, |descriptor| {
            let (version, found) = descriptor.pin(page)?;
            Some((found, Pin(Ticket::of(found.start, version))))
        })?;
        Some((pin, found))
    }

    /// Gives a pin back.
    ///
    /// # Errors
    ///
    /// [`BadPin`] for a pin that was given back already or never taken; then nothing has changed.
    #[inline(always)]
    pub fn unpin(&self, pin: Pin) -> Result<Unpinned<'_>, BadPin> {
        let Ticket { id, version } = pin.0;
        let reading = Reading::begin();
        let unpinned = self
            .descriptors
            .look(id, &reading)
            .and_then(|d| Some((d, d.unpin(version)?)));
        match unpinned {
            Some((_, Unpin::Live)) => Ok(Unpinned::Live),
            Some((_, Unpin::Dying)) => Ok(Unpinned::Dying),
            Some((descriptor, Unpin::Last)) => {
                let descriptor = self.descriptors.keep(descriptor);
                // A pin that was made up may name the area's second page.
                let id = Id::of(descriptor.start());
                Ok(Unpinned::Last(Dying { descriptor, id }))
            }
            None => {
                self.shared.errors_unpin.fetch_add(1, Relaxed);
                Err(BadPin)
            }
        }
    }

    /// Whether the area of a ticket has one pin left.
    pub fn is_last(&self, ticket: Ticket) -> bool {
        let reading = Reading::begin();
        self.descriptors
            .look(ticket.id, &reading)
            .is_some_and(|d| d.is_last(ticket.version))
    }

    /// Whether the last unpin has ended the life of a ticket.
    #[allow(dead_code, reason = "only tests on the host call it")]
    pub fn is_gone(&self, ticket: Ticket) -> bool {
        let reading = Reading::begin();
        self.descriptors
            .look(ticket.id, &reading)
            .is_none_or(|d| d.version() != ticket.version)
    }

    /// Visits areas in ascending order from `page` on, without a lock, until `visit` returns false. It
    /// may or may not see areas that are allocated or freed meanwhile. It sees no area twice, none out
    /// of order, and none that overlaps another.
    pub fn walk(&self, page: Page, visit: &mut dyn FnMut(&Walked) -> bool) {
        self.walk_part(page, self.end(), visit);
    }

    /// As [`Self::walk`], for the areas that begin before page `to`. Returns whether `visit` wanted
    /// more. The pages in between bound its time.
    pub fn walk_part(&self, page: Page, to: Page, visit: &mut dyn FnMut(&Walked) -> bool) -> bool {
        let mut at = page;
        let mut floor = page;
        while let Some((page, id)) = self.index.next_from(at, to.min(self.end())) {
            at = page.plus(1);
            let Some(Seen {
                live,
                range: (start, pages),
                link,
                claimed,
            }) = self.see(page, id)
            else {
                continue;
            };
            let end = start.plus(pages);
            if start > page || end <= page {
                continue;
            }
            if start >= floor {
                floor = end;
                let walked = Walked {
                    start,
                    pages,
                    live,
                    lazy: live.is_none() && self.numbers.is_lazy(link),
                    claimed: live.is_none() && claimed,
                };
                if !visit(&walked) {
                    return false;
                }
            }
            at = end;
        }
        true
    }

    /// The descriptor describes the area that the index has named for `page`; `None` if it has gone since, or is
    /// changing.
    fn see(&self, page: Page, id: Id) -> Option<Seen> {
        let reading = Reading::begin();
        let descriptor = self.descriptors.look(id, &reading)?;
        let live = descriptor.snapshot().filter(|seen| seen.covers(page));
        let range = match &live {
            Some(seen) => (seen.start, seen.pages),
            None => descriptor.range()?,
        };
        Some(Seen {
            live,
            range,
            link: descriptor.link(),
            claimed: descriptor.is_claimed(),
        })
    }

    /// The first area that begins at or after `page` and is live or lazy: for readers that show areas
    /// one by one and come back for the next. Sleeps.
    pub fn next_shown(&self, page: Page) -> Option<Walked> {
        let mut from = page;
        while from < self.end() {
            let to = from.plus(PART);
            let mut found = None;
            let mut next = to;
            self.walk_part(from, to, &mut |walked| {
                if walked.live.is_none() && !walked.lazy {
                    // Clean stock, or on its way there: it belongs to nobody.
                    next = next.max(walked.start.plus(walked.pages));
                    return true;
                }
                found = Some(*walked);
                false
            });
            if found.is_some() {
                return found;
            }
            from = next;
            self.env.resched();
        }
        None
    }

    /// The code address of a caller; 0 if it is not known, or if the code is gone.
    pub fn caller(&self, id: CallerId) -> usize {
        self.callers.address(id)
    }
}
