// SPDX-License-Identifier: GPL-2.0

//! Readers of /proc/vmapcacheinfo that come back for one area after the other, from positions of any
//! kind, while areas come and go.

use crate::{
    choice::{Choice, Rng},
    collections::{BTreeMap, Vec},
    env::TestEnv,
    knobs::{self, run_on_cpu},
    sys::{Mode, Page},
    va::{area::Kind, Config, Freed, Manager, Purge, Request, GUARD},
};

/// One reader on its way through the file.
#[derive(Default)]
struct Reader {
    /// Where it began, and when.
    from: Page,
    began: u64,
    position: Page,
    shown: Vec<Page>,
}

/// See the file.
pub struct Rows {
    manager: Manager<TestEnv>,
    /// Pages of each area that lives, and since when.
    live: BTreeMap<Page, (u32, u64)>,
    readers: [Reader; 3],
    now: u64,
}

impl Rows {
    /// An arena whose size is drawn from `choice`.
    pub fn new(choice: &mut impl Choice) -> Self {
        let config = Config {
            // Some are longer than one part of a walk.
            pages: [2_000, 5_000, 140_000][choice.below(3) as usize],
            cpus: 2,
            shards: 1 + choice.below(3),
            lazy_max_pages: [0, 100, u32::MAX][choice.below(3) as usize],
            early_purges: 0,
            flush_ceiling: 33,
        };
        run_on_cpu(0);
        Self {
            manager: Manager::new(config, TestEnv::new(config.pages)).unwrap(),
            live: BTreeMap::new(),
            readers: Default::default(),
            now: 1,
        }
    }

    /// Does one random thing.
    pub fn step(&mut self, choice: &mut impl Choice) {
        self.now += 1;
        match choice.below(20) {
            0..=6 => self.alloc(choice),
            7..=11 => self.free(choice),
            12 => self.manager.purge(
                [Purge::Background, Purge::Step, Purge::Full, Purge::Drain]
                    [choice.below(4) as usize],
            ),
            13 => run_on_cpu(choice.below(2)),
            14 => self.seek(choice),
            _ => self.read(choice.below(3) as usize),
        }
    }

    /// Every reader to its end.
    pub fn finish(mut self) {
        for i in 0..self.readers.len() {
            while !self.readers[i].shown.is_empty() || self.readers[i].position == Page::new(0) {
                self.read(i);
                if self.readers[i].shown.is_empty() {
                    break;
                }
            }
        }
    }

    fn alloc(&mut self, choice: &mut impl Choice) {
        let pages = match choice.below(8) {
            0 => 1 + choice.below(700),
            _ => 1 + choice.below(6),
        };
        let request = Request {
            pages,
            align: 1 << choice.below(4),
            mode: Mode::Sleep,
            caller: 1,
        };
        if let Ok(area) = self.manager.alloc(request) {
            let start = area.start();
            self.manager.publish(area, 0, Kind::VaOnly);
            assert!(self.live.insert(start, (pages, self.now)).is_none());
        }
    }

    fn free(&mut self, choice: &mut impl Choice) {
        let page = Page::new(choice.below(self.manager.pages()));
        let mut lives = self.live.range(page..).chain(self.live.range(..page));
        let Some((&start, _)) = lives.next() else {
            return;
        };
        self.live.remove(&start);
        match self.manager.begin_free(start) {
            Ok(Freed::Now(dying)) => self.manager.finish_free(dying),
            other => panic!("{other:?}"),
        }
    }

    fn seek(&mut self, choice: &mut impl Choice) {
        let position = match choice.below(4) {
            0 => choice.below(u32::MAX),
            1 => u32::MAX - choice.below(3),
            _ => choice.below(self.manager.pages() + 3),
        };
        let position = Page::new(position);
        self.readers[choice.below(3) as usize] = Reader {
            from: position,
            began: self.now,
            position,
            shown: Vec::new(),
        };
    }

    fn read(&mut self, which: usize) {
        let reader = &mut self.readers[which];
        if reader.began == 0 {
            reader.began = self.now;
        }
        let Some(row) = self.manager.next_shown(reader.position) else {
            // It has seen every area that lived when it began and still lives.
            for (start, (_, since)) in self.live.range(reader.from..) {
                assert!(
                    *since >= reader.began || reader.shown.contains(start),
                    "{start:?} was not shown from {:?} on",
                    reader.from
                );
            }
            *reader = Reader::default();
            return;
        };
        assert!(row.start >= reader.position, "{row:?} shown again");
        let end = row.start.plus(row.pages);
        assert!(end.get() < self.manager.pages(), "{row:?}");
        let live = self.live.get(&row.start).map(|(pages, _)| *pages);
        match &row.live {
            Some(_) => assert_eq!(live, Some(row.pages)),
            None => assert!(row.lazy && live.is_none(), "{row:?}"),
        }
        reader.shown.push(row.start);
        reader.position = end.plus(GUARD);
    }
}

/// So many steps, and each reader to its end.
pub fn run(seed: u64, steps: u32) {
    knobs::begin(seed);
    let mut rng = Rng::new(seed);
    let mut rows = Rows::new(&mut rng);
    for _ in 0..steps {
        rows.step(&mut rng);
    }
    rows.finish();
}
