// SPDX-License-Identifier: GPL-2.0

//! Models of CPUs that act at the same time, in every order and with every value that the memory model
//! lets them read:
//!
//!     RUSTFLAGS='--cfg loom' cargo test --release --test loom
//!
//! Things that two CPUs must not touch at once, page tables above all, are loom cells: touching one
//! without an order is an error. tools/testing/mutants/core.toml weakens one ordering after the other.

#![cfg(loom)]

use core_tests::{
    sys::{
        mem::{boxed, Mode},
        seqcount::SeqCount,
        sync::{
            fence, run_on_cpu, AtomicBool, AtomicU32, AtomicU64, Limbo, Mailbox,
            Ordering::{Acquire, Relaxed, Release, SeqCst},
            Reading,
        },
        Page,
    },
    va::{
        area::{index::Index, Descriptors, Id, Kill, Kind, Origin, Unpin, NO_ID},
        count::callers::OTHERS,
        flush::{
            epochs::{Epochs, Flushed},
            list::Stack,
        },
        info::record::{Generations, Record},
        space::range::Range,
        Config, Env, Freed, Manager, Purge, Request, Switch,
    },
};
use loom::{
    cell::UnsafeCell,
    model::Builder,
    sync::{Arc, Mutex},
    thread,
};

fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(f);
}

/// A PTE, or anything else that has one owner at a time.
struct Owned(UnsafeCell<u32>);

// SAFETY: loom checks that accesses are ordered.
unsafe impl Sync for Owned {}

impl Owned {
    fn new(value: u32) -> Self {
        Self(UnsafeCell::new(value))
    }

    fn read(&self) -> u32 {
        // SAFETY: loom reports a concurrent write.
        self.0.with(|p| unsafe { *p })
    }

    fn write(&self, value: u32) {
        // SAFETY: loom reports a concurrent access.
        self.0.with_mut(|p| unsafe { *p = value })
    }
}

/// The page of an area, and that of the next life of its descriptor.
const HERE: Page = Page::new(10);
const THERE: Page = Page::new(11);

/// The descriptor of both.
const ID: Id = Id::of(HERE);

/// One descriptor and the PTE of its area.
struct OneArea {
    descriptors: Descriptors,
    pte: Owned,
}

impl OneArea {
    /// A Live area at page 10, mapped to 111.
    fn new() -> Arc<Self> {
        let descriptors = Descriptors::new(16).unwrap();
        assert_eq!(descriptors.prepare(HERE, Mode::Sleep), Ok(ID));
        assert_eq!(Id::of(THERE).place(), ID.place());
        let descriptor = descriptors.get(ID).unwrap();
        descriptor.shape(HERE, 1, None);
        descriptor.claim(None, Origin::new(OTHERS, 0));
        descriptor.publish(111, Kind::Vmap);
        Arc::new(Self {
            descriptors,
            pte: Owned::new(111),
        })
    }

    /// Looks, pins, reads through the mapping, unpins; finishes the free if this is the last pin.
    fn look_and_pin(&self) {
        let descriptor = self.descriptors.get(ID).unwrap();
        let Some(seen) = descriptor.snapshot() else {
            return;
        };
        // One life or the other, and never a mixture.
        let what = (seen.start, seen.pages, seen.payload);
        assert!(
            what == (HERE, 1, 111) || what == (THERE, 2, 222),
            "{what:?}"
        );
        if let Some((version, found)) = descriptor.pin(seen.start) {
            // Perhaps the next life of the same start; but a pinned area is mapped.
            let seen = descriptor.snapshot().unwrap();
            assert_eq!((seen.version(), seen.start), (version, found.start));
            assert_eq!(self.pte.read() as usize, seen.payload);
            if descriptor.unpin(version).unwrap() == Unpin::Last {
                self.pte.write(0);
            }
        }
    }

    /// Frees, and if nobody had it pinned, makes another area of the same descriptor.
    fn free_and_reuse(&self) {
        let descriptor = self.descriptors.get(ID).unwrap();
        match descriptor.kill(HERE) {
            Kill::Dead => {
                self.pte.write(0);
                descriptor.shape(THERE, 2, None);
                self.pte.write(222);
                descriptor.claim(None, Origin::new(OTHERS, 0));
                descriptor.publish(222, Kind::Vmap);
            }
            Kill::Pinned(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn pin_against_free_against_reuse() {
    model(3, || {
        let area = OneArea::new();
        let reader = {
            let area = area.clone();
            thread::spawn(move || area.look_and_pin())
        };
        area.free_and_reuse();
        reader.join().unwrap();
        // Nobody is left with a pin.
        if let Some(seen) = area.descriptors.get(ID).unwrap().snapshot() {
            assert_eq!((seen.pins(), seen.dying(), seen.start), (0, false, THERE));
        }
    });
}

/// The last of two pins finishes the free, whichever that is.
#[test]
fn two_pins_against_free() {
    model(2, || {
        let area = OneArea::new();
        let descriptor = area.descriptors.get(ID).unwrap();
        let (version, _) = descriptor.pin(HERE).unwrap();
        assert_eq!(descriptor.pin(HERE).unwrap().0, version);
        let unpin = move |area: &OneArea| {
            assert_eq!(area.pte.read(), 111);
            let descriptor = area.descriptors.get(ID).unwrap();
            let last = descriptor.unpin(version).unwrap() == Unpin::Last;
            if last {
                area.pte.write(0);
            }
            last
        };
        let other = {
            let area = area.clone();
            thread::spawn(move || unpin(&area))
        };
        let killer = {
            let area = area.clone();
            thread::spawn(move || {
                let killed = area.descriptors.get(ID).unwrap().kill(HERE);
                if killed == Kill::Dead {
                    area.pte.write(0);
                }
                killed == Kill::Dead
            })
        };
        let finished = [unpin(&area), other.join().unwrap(), killer.join().unwrap()];
        assert_eq!(finished.into_iter().filter(|&f| f).count(), 1);
    });
}

/// If two CPUs free the same area, one clears its PTE.
#[test]
fn free_against_free() {
    model(3, || {
        let area = OneArea::new();
        let free = |area: &OneArea| {
            let dead = area.descriptors.get(ID).unwrap().kill(HERE) == Kill::Dead;
            if dead {
                area.pte.write(0);
            }
            dead
        };
        let other = {
            let area = area.clone();
            thread::spawn(move || free(&area))
        };
        let own = free(&area);
        assert_ne!(own, other.join().unwrap());
    });
}

/// A second free that comes while the descriptor goes on to another area ends nothing.
#[test]
fn double_free_against_reuse() {
    model(3, || {
        let area = OneArea::new();
        let late = {
            let area = area.clone();
            thread::spawn(move || {
                let killed = area.descriptors.get(ID).unwrap().kill(HERE);
                assert!(matches!(
                    killed,
                    Kill::NotLive | Kill::Elsewhere | Kill::Dead
                ));
                killed == Kill::Dead
            })
        };
        let descriptor = area.descriptors.get(ID).unwrap();
        if descriptor.kill(HERE) == Kill::Dead {
            descriptor.shape(THERE, 2, None);
            descriptor.claim(None, Origin::new(OTHERS, 0));
            descriptor.publish(222, Kind::Vmap);
            assert!(!late.join().unwrap(), "the second free won");
            let seen = descriptor.snapshot().unwrap();
            assert_eq!((seen.start, seen.pages), (THERE, 2));
        } else {
            assert!(late.join().unwrap());
        }
    });
}

/// An area of the stock keeps its range from one life to the next, and is not shaped in between: still a
/// reader sees one life or the other.
#[test]
fn snapshot_against_stock() {
    model(3, || {
        let area = OneArea::new();
        let old = area.descriptors.get(ID).unwrap().version();
        let reader = {
            let area = area.clone();
            thread::spawn(move || {
                if let Some(seen) = area.descriptors.get(ID).unwrap().snapshot() {
                    let payload = if seen.version() == old { 111 } else { 222 };
                    assert_eq!(seen.payload, payload);
                }
            })
        };
        let descriptor = area.descriptors.get(ID).unwrap();
        assert_eq!(descriptor.kill(HERE), Kill::Dead);
        descriptor.claim_live(None, Origin::new(OTHERS, 0), 222, Kind::Vmap);
        reader.join().unwrap();
    });
}

/// If somebody notes a life that another CPU ends, either the note fails or the holder of the area learns
/// of it, and sees what was kept.
#[test]
fn note_against_free() {
    model(3, || {
        let area = OneArea::new();
        let kept = Arc::new(Owned::new(0));
        let version = area.descriptors.get(ID).unwrap().version();
        let noter = {
            let (area, kept) = (area.clone(), kept.clone());
            thread::spawn(move || {
                kept.write(1);
                area.descriptors.get(ID).unwrap().note(version)
            })
        };
        let descriptor = area.descriptors.get(ID).unwrap();
        assert_eq!(descriptor.kill(HERE), Kill::Dead);
        let taken = descriptor.take_note();
        if taken {
            assert_eq!(kept.read(), 1);
        }
        assert!(!descriptor.take_note());
        assert_eq!(noter.join().unwrap(), taken);
    });
}

/// A walk that looks at an area nobody has, while it gets another range.
#[test]
fn range_against_shape() {
    model(3, || {
        let area = OneArea::new();
        let descriptor = area.descriptors.get(ID).unwrap();
        assert_eq!(descriptor.kill(HERE), Kill::Dead);
        let walker = {
            let area = area.clone();
            thread::spawn(move || {
                let range = area.descriptors.get(ID).unwrap().range();
                assert!(
                    matches!(range, None | Some((HERE, 1)) | Some((THERE, 2))),
                    "{range:?}"
                );
            })
        };
        descriptor.shape(THERE, 2, None);
        walker.join().unwrap();
    });
}

/// A value comes out of a mailbox whole, and once. A second one finds no room until then, and is not lost.
#[test]
fn mailbox() {
    model(3, || {
        let mailbox = Arc::new(Mailbox::<Owned>::new());
        let put = |mailbox: &Mailbox<Owned>, number| {
            let value = boxed(Owned::new(0), Mode::Sleep).unwrap();
            value.write(number);
            mailbox.put(value).err().map(|back| back.read())
        };
        let takers = [(); 2].map(|()| {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.take().map(|value| value.read()))
        });
        let mut seen = Vec::new();
        seen.extend(put(&mailbox, 1));
        seen.extend(put(&mailbox, 2));
        for taker in takers {
            seen.extend(taker.join().unwrap());
        }
        seen.extend(mailbox.take().map(|value| value.read()));
        assert!(mailbox.take().is_none());
        seen.sort();
        assert_eq!(seen, [1, 2]);
    });
}

/// An area appears in the index, goes, and its descriptor appears at another page: at each page a
/// lookup finds its own area or none.
#[test]
fn slot_publication() {
    slot_is_published(false);
    slot_is_published(true);
}

/// With the claim and the publication in one step, or in two.
fn slot_is_published(at_once: bool) {
    model(2, move || {
        let index = Index::new(1).unwrap();
        let area = OneArea::new();
        index.prepare(HERE, 1, Mode::Sleep).unwrap();
        index.prepare(THERE, 2, Mode::Sleep).unwrap();
        index.set(HERE, 1, ID);
        let world = Arc::new((index, area));
        let find = |(index, area): &(Index, Arc<OneArea>), page| {
            let descriptor = area.descriptors.get(index.get(page))?;
            descriptor.snapshot().filter(|seen| seen.covers(page))
        };
        let reader = {
            let world = world.clone();
            thread::spawn(move || {
                if let Some(seen) = find(&world, THERE) {
                    assert_eq!((seen.start, seen.payload), (THERE, 222));
                    // The area at the new page stays, and the old page has lost it.
                    assert!(find(&world, THERE).is_some());
                    assert!(find(&world, HERE).is_none());
                }
                if let Some(seen) = find(&world, HERE) {
                    assert_eq!((seen.start, seen.payload), (HERE, 111));
                }
            })
        };
        let (index, area) = &*world;
        let descriptor = area.descriptors.get(ID).unwrap();
        assert_eq!(descriptor.kill(HERE), Kill::Dead);
        index.set(HERE, 1, NO_ID);
        descriptor.shape(THERE, 2, None);
        index.set(THERE, 2, ID);
        if at_once {
            descriptor.claim_live(None, Origin::new(OTHERS, 0), 222, Kind::Vmap);
        } else {
            descriptor.claim(None, Origin::new(OTHERS, 0));
            descriptor.publish(222, Kind::Vmap);
        }
        assert!(find(&world, THERE).is_some() && find(&world, HERE).is_none());
        reader.join().unwrap();
    });
}

/// The chunk of a descriptor goes, and comes back for another area, while somebody looks: the reader sees one area,
/// the other, or none, and no handle of the first one serves for the second.
#[test]
fn chunk_that_goes_under_a_reader() {
    model(2, || {
        let area = OneArea::new();
        let reader = {
            let area = area.clone();
            thread::spawn(move || {
                let reading = Reading::begin();
                let Some(descriptor) = area.descriptors.look(ID, &reading) else {
                    return;
                };
                let Some((version, found)) = descriptor.pin(HERE).or_else(|| descriptor.pin(THERE))
                else {
                    return;
                };
                assert!([(HERE, 1), (THERE, 2)].contains(&(found.start, found.pages)));
                let seen = descriptor.snapshot().unwrap();
                assert_eq!((seen.version(), seen.start), (version, found.start));
                let left = descriptor.unpin(version).unwrap();
                // That was the only pin, of this life or any.
                let again = area.descriptors.look(ID, &reading);
                assert!(again.is_none_or(|d| d.unpin(version).is_none()));
                if left == Unpin::Last {
                    area.pte.write(0);
                }
            })
        };
        let descriptors = &area.descriptors;
        let descriptor = descriptors.get(ID).unwrap();
        if descriptor.kill(HERE) == Kill::Dead {
            area.pte.write(0);
            let old = descriptor.version();
            // Now its pages are free.
            let mut limbo = Limbo::new(1, Mode::Sleep).unwrap();
            let all = Range {
                start: Page::new(0),
                pages: 16,
            };
            assert!(descriptors.give_up(all, |_| true, &mut limbo) > 0);
            let id = Id::of(THERE);
            assert_eq!(descriptors.prepare(THERE, Mode::Sleep), Ok(id));
            let descriptor = descriptors.get(ID).unwrap();
            descriptor.shape(THERE, 2, None);
            assert!(descriptor.version() > old);
            area.pte.write(222);
            descriptor.claim(None, Origin::new(OTHERS, 0));
            descriptor.publish(222, Kind::Vmap);
            reader.join().unwrap();
            drop(limbo);
        } else {
            reader.join().unwrap();
        }
    });
}

/// Areas are pushed by two CPUs while a purge takes the list: each comes out once, and with its PTE
/// cleared before.
#[test]
fn splice_against_push() {
    model(3, || {
        let descriptors = Descriptors::new(6).unwrap();
        let name = |number| Id::of(Page::new(2 * number));
        for number in 0..3 {
            let prepared = descriptors.prepare(Page::new(2 * number), Mode::Sleep);
            assert_eq!(prepared, Ok(name(number)));
        }
        let ptes = [Owned::new(1), Owned::new(1), Owned::new(1)];
        let world = Arc::new((Stack::new(), descriptors, ptes));
        let push = |number: u32| {
            let world = world.clone();
            move || {
                let (stack, descriptors, ptes) = &*world;
                ptes[number as usize].write(0);
                stack.push(descriptors, name(number));
            }
        };
        push(0)();
        let others = [thread::spawn(push(1)), thread::spawn(push(2))];
        let (stack, descriptors, ptes) = &*world;
        let mut seen = [0; 3];
        let mut take = || {
            let mut list = stack.take();
            while let Some(id) = list.pop(descriptors) {
                let number = id.place();
                assert_eq!(ptes[number].read(), 0);
                // Handed out again.
                ptes[number].write(2);
                seen[number] += 1;
            }
        };
        take();
        others.into_iter().for_each(|t| t.join().unwrap());
        take();
        assert_eq!(seen, [1; 3]);
    });
}

/// Surroundings of which a model needs the flush alone.
struct Flush<F>(F);

impl<F: Fn() + Send + Sync> Env for Flush<F> {
    fn flush(&self, _start: Page, _end: Page) {
        self.0()
    }
    fn kick_purge(&self) {}
    fn kick_deferred(&self) {}
    fn kick_trim(&self) {}
    fn finish_deferred(&self) {}
    fn ask_others(&self) -> bool {
        false
    }
    fn resched(&self) {}
    fn may_sleep(&self) -> bool {
        true
    }
    fn now(&self) -> u64 {
        0
    }
}

/// The flush, as the kernel does it: an interrupt on each CPU, with its barriers. A CPU may keep what it
/// finds in the page table right afterwards in its TLB for as long as it likes. Returns that, and the
/// proof of the flush.
fn flush(epochs: &Epochs, pte: &AtomicU32) -> (u32, Flushed) {
    // Not one of the model: only this thread looks at it.
    let tlb = std::sync::atomic::AtomicU32::new(u32::MAX);
    let env = Flush(|| {
        fence(SeqCst);
        tlb.store(pte.load(Relaxed), Relaxed);
    });
    let flushed = epochs.flush_all(&env, 1);
    (tlb.load(Relaxed), flushed)
}

/// A CPU stamps an area after it has cleared the PTE, while a flush is on its way. If the area counts
/// as clean, no TLB holds the PTE.
#[test]
fn epoch_against_flush() {
    model(3, || {
        let world = Arc::new((Epochs::new(), AtomicU32::new(1)));
        let freer = {
            let world = world.clone();
            thread::spawn(move || {
                let (epochs, pte) = &*world;
                pte.store(0, Relaxed);
                epochs.stamp()
            })
        };
        let (epochs, pte) = &*world;
        let (tlb, own) = flush(epochs, pte);
        let stamp = freer.join().unwrap();
        // The flush's own proof, and the one for later purges.
        assert_eq!(own.cleans(&stamp), epochs.flushed().cleans(&stamp));
        if own.cleans(&stamp) {
            assert_eq!(tlb, 0, "handed out while a TLB still maps it");
        }
    });
}

/// A CPU that sees that an area is clean sees everything before the flush.
#[test]
fn epoch_against_reuse() {
    model(3, || {
        let world = Arc::new((Epochs::new(), Owned::new(0)));
        let stamp = world.0.stamp();
        let owner = {
            let world = world.clone();
            thread::spawn(move || {
                let (epochs, pte) = &*world;
                if epochs.flushed().cleans(&stamp) {
                    pte.write(222);
                }
            })
        };
        let (epochs, pte) = &*world;
        epochs.flush_all(&Flush(|| assert_eq!(pte.read(), 0)), 1);
        owner.join().unwrap();
    });
}

/// Two flushes that overlap: the later one may end first, and its areas are clean.
#[test]
fn flush_against_flush() {
    model(3, || {
        let world = Arc::new((Epochs::new(), AtomicU32::new(1)));
        let other = {
            let world = world.clone();
            thread::spawn(move || {
                let (epochs, pte) = &*world;
                flush(epochs, pte)
            })
        };
        let (epochs, pte) = &*world;
        pte.store(0, Relaxed);
        let stamp = epochs.stamp();
        let (tlb, own) = flush(epochs, pte);
        assert!(tlb == 0 && own.cleans(&stamp) && epochs.flushed().cleans(&stamp));
        let (tlb, flushed) = other.join().unwrap();
        assert_ne!(flushed, own, "two flushes have the same number");
        assert!(!flushed.cleans(&stamp) || tlb == 0);
    });
}

/// What a shard shows, and the cached record: a reader sees the words of one change.
#[test]
fn reader_against_writer() {
    model(3, || {
        let words = [AtomicU64::new(0), AtomicU64::new(0)];
        let world = Arc::new((SeqCount::new(), words));
        let writer = {
            let world = world.clone();
            thread::spawn(move || {
                let (changes, words) = &*world;
                for value in 1..3 {
                    changes.write(|| words.iter().for_each(|word| word.store(value, Relaxed)));
                }
            })
        };
        let (changes, words) = &*world;
        let count = changes.count();
        if let Some([first, second]) = changes.read(|| [0, 1].map(|i| words[i].load(Relaxed))) {
            assert_eq!(first, second);
            assert!(first >= count, "the past, after the present");
        }
        writer.join().unwrap();
        assert!(changes.read(|| ()).is_some() && changes.count() == 2);
    });
}

/// Totals that are the number of changes so far, their generation, and the record of them.
struct Counted {
    total: AtomicU64,
    generation: AtomicU64,
    record: Record,
}

impl Counted {
    fn new() -> Self {
        Self {
            total: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            record: Record::new(2).unwrap(),
        }
    }

    /// As a writer counts: what changes, then the generation.
    fn change(&self) {
        self.total.fetch_add(1, Relaxed);
        self.generation.fetch_add(1, Release);
    }

    /// As `Manager::info` reads: the generation first. The total comes twice in the record, so that
    /// halves of two are seen.
    fn read(&self) {
        let areas = self.generation.load(Acquire);
        let kept = self
            .record
            .load(|label, words| (label, [words.take(), words.take()]));
        if let Some((label, [total, again])) = kept {
            assert_eq!(total, again, "halves of two records");
            assert!(total >= label.areas, "a record from before its label");
            if label.areas == areas {
                return;
            }
        }
        let total = self.total.load(Relaxed);
        assert!(total >= areas, "the past, after the present");
        let label = Generations { areas, space: 0 };
        let stored = self.record.store(label, [total; 2].into_iter());
        // Whichever reader was faster: the kept record is no older, and stays so.
        let mut least = if stored { areas } else { 0 };
        for _ in 0..2 {
            if let Some((label, total)) = self.record.load(|label, words| (label, words.take())) {
                assert!(label.areas >= least, "an older record came later");
                assert!(total >= label.areas, "a label without its words");
                least = label.areas;
            }
        }
    }
}

/// Two readers, one of which gathers its totals while a writer changes them and stores them after the
/// other has stored fresher ones.
#[test]
fn reader_against_writer_against_reader() {
    model(2, || {
        let counted = Arc::new(Counted::new());
        let others = [
            {
                let counted = counted.clone();
                thread::spawn(move || counted.change())
            },
            {
                let counted = counted.clone();
                thread::spawn(move || counted.read())
            },
        ];
        counted.read();
        others.into_iter().for_each(|t| t.join().unwrap());
        // At rest, the next read leaves the truth, and the one after that finds it.
        counted.read();
        let kept = counted
            .record
            .load(|label, words| (label.areas, words.take()));
        assert_eq!(kept, Some((1, 1)));
    });
}

/// The per-CPU values of the module (rust/sys/kernel/percpu.rs), in miniature: the kernel's promises
/// stand in for the kernel's functions.
struct PerCpuModel {
    claimed: AtomicBool,
    value: Owned,
    /// Held while preemption is off: an RCU read-side critical section of this one CPU. A grace
    /// period waits for it, and orders accesses before it and after it.
    cpu: Mutex<()>,
}

impl PerCpuModel {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            claimed: AtomicBool::new(false),
            value: Owned::new(0),
            cpu: Mutex::new(()),
        })
    }

    fn with(&self, f: impl FnOnce(&Owned)) -> bool {
        let stay = self.cpu.lock().unwrap();
        if self.claimed.load(Acquire) {
            return false;
        }
        f(&self.value);
        drop(stay);
        true
    }

    fn with_each(&self, f: impl FnOnce(&Owned)) {
        self.claimed.store(true, Release);
        drop(self.cpu.lock().unwrap());
        f(&self.value);
        self.claimed.store(false, Release);
    }
}

/// A magazine goes from the CPU that filled it to a purge, which empties it, and back: an owner and a
/// remote task never have the stock of a CPU at the same time, and each sees the writes of the other.
#[test]
fn magazine_hand_over() {
    model(3, || {
        let stock = PerCpuModel::new();
        let owner = {
            let stock = stock.clone();
            thread::spawn(move || {
                let mut pushed = 0;
                for _ in 0..2 {
                    pushed += u32::from(stock.with(|v| v.write(v.read() + 1)));
                }
                pushed
            })
        };
        let mut spilled = 0;
        stock.with_each(|v| {
            spilled += v.read();
            v.write(0);
        });
        let pushed = owner.join().unwrap();
        stock.with_each(|v| spilled += v.read());
        assert_eq!(pushed, spilled, "areas were lost");
    });
}

/// PTEs of an arena, and a flush that looks at them as a TLB would.
struct Ptes([Owned; 4]);

impl Env for Ptes {
    fn flush(&self, _start: Page, _end: Page) {
        fence(SeqCst);
    }
    fn kick_purge(&self) {}
    fn kick_deferred(&self) {}
    fn kick_trim(&self) {}
    fn finish_deferred(&self) {}
    fn ask_others(&self) -> bool {
        false
    }
    fn resched(&self) {}
    fn may_sleep(&self) -> bool {
        true
    }
    fn now(&self) -> u64 {
        0
    }
}

/// An arena of 4 pages: room for two areas of one page.
fn small_manager() -> Arc<Manager<Ptes>> {
    small_manager_with(u32::MAX)
}

fn small_manager_with(lazy_max_pages: u32) -> Arc<Manager<Ptes>> {
    let config = Config {
        pages: 4,
        cpus: 2,
        shards: 1,
        lazy_max_pages,
        early_purges: 0,
        flush_ceiling: 0,
    };
    let ptes = Ptes([0; 4].map(Owned::new));
    Arc::new(Manager::new(config, ptes).unwrap())
}

fn take_one(manager: &Manager<Ptes>) -> Option<Page> {
    let request = Request {
        pages: 1,
        align: 1,
        mode: Mode::Sleep,
        caller: 1,
    };
    let area = manager.alloc(request).ok()?;
    let start = area.start();
    let pte = &manager.env().0[start.get() as usize];
    assert_eq!(pte.read(), 0, "handed out while it is mapped");
    pte.write(1);
    manager.publish(area, 0, Kind::Vmap);
    Some(start)
}

fn give_back(manager: &Manager<Ptes>, start: Page) {
    let Ok(Freed::Now(dying)) = manager.begin_free(start) else {
        panic!("{start:?} is not Live");
    };
    manager.env().0[start.get() as usize].write(0);
    manager.finish_free(dying);
}

/// Everything is lazy, and a task purges. A CPU that needs an area waits for that, and gets one.
#[test]
fn waiter_against_purger() {
    model(1, || {
        run_on_cpu(0);
        let manager = small_manager();
        let taken = [(); 2].map(|()| take_one(&manager).unwrap());
        assert!(take_one(&manager).is_none());
        taken.map(|start| give_back(&manager, start));
        let purger = {
            let manager = manager.clone();
            thread::spawn(move || {
                run_on_cpu(1);
                manager.purge(Purge::Full);
            })
        };
        assert!(take_one(&manager).is_some(), "failed while another purged");
        purger.join().unwrap();
    });
}

/// A trim looks which pages are free while a CPU takes them: either it sees that they are taken, or the CPU makes new
/// descriptors.
#[test]
fn trim_against_take() {
    model(2, || {
        run_on_cpu(0);
        let manager = small_manager();
        // Descriptors, and no area.
        let start = take_one(&manager).unwrap();
        give_back(&manager, start);
        manager.purge(Purge::Drain);
        let trimmer = {
            let manager = manager.clone();
            thread::spawn(move || {
                run_on_cpu(1);
                manager.trim(usize::MAX)
            })
        };
        let start = take_one(&manager).unwrap();
        assert!(
            manager.lookup(start).is_some(),
            "an area without a descriptor"
        );
        give_back(&manager, start);
        trimmer.join().unwrap();
    });
}

/// A task that frees and one that purges agree on how much is lazy: the sum does not drift.
#[test]
fn lazy_pages_are_exact() {
    for magazines in [true, false] {
        model(1, move || {
            run_on_cpu(0);
            // Each CPU hands on what it frees at once.
            let manager = small_manager_with(1);
            manager.set_switch(Switch::Magazines, magazines);
            let start = take_one(&manager).unwrap();
            let purger = {
                let manager = manager.clone();
                thread::spawn(move || {
                    run_on_cpu(1);
                    manager.purge(Purge::Full);
                })
            };
            give_back(&manager, start);
            purger.join().unwrap();
            manager.purge(Purge::Drain);
            assert_eq!(manager.reclaimable(), 0);
            // Nor is it below zero.
            give_back(&manager, take_one(&manager).unwrap());
            assert_eq!(manager.reclaimable(), 2);
        });
    }
}

/// One CPU frees an area, another purges and allocates it: in between the area goes through a
/// filling, a sealed and a clean magazine and the depot, and every CPU sees the latest PTE.
#[test]
fn hand_over_between_cpus() {
    model(1, || {
        run_on_cpu(0);
        let manager = small_manager();
        let taken = [(); 2].map(|()| take_one(&manager).unwrap());
        let other = {
            let manager = manager.clone();
            thread::spawn(move || {
                run_on_cpu(1);
                manager.purge(Purge::Full);
                take_one(&manager).is_some()
            })
        };
        give_back(&manager, taken[0]);
        let got = other.join().unwrap();
        assert_eq!(take_one(&manager).is_some(), !got);
    });
}

/// Two CPUs make the first areas of an arena at the same time. Each needs a table of the index and a chunk of
/// descriptors, and finds those that the other one has made.
#[test]
fn first_area_against_first_area() {
    model(1, || {
        let manager = small_manager();
        let other = {
            let manager = manager.clone();
            thread::spawn(move || {
                run_on_cpu(1);
                take_one(&manager).unwrap()
            })
        };
        run_on_cpu(0);
        let own = take_one(&manager).unwrap();
        let other = other.join().unwrap();
        assert_ne!(own, other);
        for start in [own, other] {
            assert_eq!(manager.lookup(start).map(|found| found.start), Some(start));
            give_back(&manager, start);
        }
    });
}

/// A lookup while the first area of the arena is made: it finds the whole area, or none. A free of it finds
/// none, or ends it.
#[test]
fn lookup_against_first_area() {
    model(1, || {
        let manager = small_manager();
        let reader = {
            let manager = manager.clone();
            thread::spawn(move || {
                let page = Page::new(0);
                let found = manager.lookup(page);
                if let Some(found) = found {
                    assert_eq!((found.start, found.pages), (page, 1));
                    assert!(manager.lookup(page).is_some(), "it went");
                }
                assert!(manager.lookup(Page::new(1)).is_none(), "a guard page");
                assert!(manager.begin_free_plain(Page::new(1)).is_none());
                let freed = manager.begin_free_plain(page);
                assert!(found.is_none() || freed.is_some());
                freed.map(|dying| {
                    manager.env().0[dying.start().get() as usize].write(0);
                    manager.finish_free(dying);
                })
            })
        };
        run_on_cpu(1);
        let start = take_one(&manager).unwrap();
        assert_eq!(start, Page::new(0));
        if reader.join().unwrap().is_none() {
            give_back(&manager, start);
        }
    });
}
