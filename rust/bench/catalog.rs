// SPDX-License-Identifier: GPL-2.0

//! What the laboratory can measure: the names, and which keys and sides go with each.
//!
//! Plain safe Rust without a kernel type; the host tests include this file. A new scenario is
//! one row of the table here and one file in `scenario/`.

/// One allocator under measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SideName {
    InTree,
    Vmapcache,
    VmMapRam,
    /// No allocator at all: the work that any of them must do.
    Bare,
    /// Measures the measuring: an allocator of known cost.
    Fake,
    /// The same at twice the cost.
    Fake2,
    /// Every 10th call fails.
    FakeFail10,
    /// Every area overlaps the one before.
    FakeOverlap,
}

impl SideName {
    pub(crate) const ALL: [SideName; 8] = [
        SideName::InTree,
        SideName::Vmapcache,
        SideName::VmMapRam,
        SideName::Bare,
        SideName::Fake,
        SideName::Fake2,
        SideName::FakeFail10,
        SideName::FakeOverlap,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            SideName::InTree => "in-tree",
            SideName::Vmapcache => "vmapcache",
            SideName::VmMapRam => "vm_map_ram",
            SideName::Bare => "bare",
            SideName::Fake => "fake",
            SideName::Fake2 => "fake2",
            SideName::FakeFail10 => "fake_fail10",
            SideName::FakeOverlap => "fake_overlap",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<SideName> {
        SideName::ALL.into_iter().find(|s| s.name() == name)
    }

    /// The bit of this side in [`Entry::sides`].
    pub(crate) const fn bit(self) -> u16 {
        1 << self as u16
    }
}

const IN_TREE: u16 = SideName::InTree.bit();
const VMAPCACHE: u16 = SideName::Vmapcache.bit();
const MAP_RAM: u16 = SideName::VmMapRam.bit();
const BARE: u16 = SideName::Bare.bit();
const FAKES: u16 = SideName::Fake.bit()
    | SideName::Fake2.bit()
    | SideName::FakeFail10.bit()
    | SideName::FakeOverlap.bit();
const BOTH: u16 = IN_TREE | VMAPCACHE;

/// The keys that a scenario takes, and the defaults for a line without them.
pub(crate) struct Entry {
    pub(crate) scenario: Scenario,
    pub(crate) name: &'static str,
    /// Sides that can run it, as bits.
    pub(crate) sides: u16,
    /// Sides that run it if the line names none.
    pub(crate) default_sides: u16,
    /// Largest `pages=`; 0: the scenario refuses the key and has sizes of its own.
    pub(crate) max_pages: u32,
    /// It takes `pages=A-B` (random sizes) and `align=`.
    pub(crate) shapes: bool,
    /// Default of `live=`; `None`: the scenario refuses the key.
    pub(crate) live: Option<u32>,
    /// Default of `lazy=`; `None`: the scenario refuses the key.
    pub(crate) lazy: Option<u32>,
    /// It takes `writers=`: threads that allocate and free while others time the operation.
    pub(crate) writers: bool,
    /// Default of `threads=`.
    pub(crate) threads: u32,
    /// Every thread needs a partner.
    pub(crate) pairs: bool,
}

const ALLOC: Entry = Entry {
    scenario: Scenario::VaOnly,
    name: "",
    sides: BOTH | FAKES,
    default_sides: BOTH,
    max_pages: 65_536,
    shapes: false,
    live: Some(0),
    lazy: None,
    writers: false,
    threads: 1,
    pairs: false,
};

const LOOKUP: Entry = Entry {
    live: Some(1_000),
    writers: true,
    max_pages: 512,
    ..ALLOC
};

/// The tests of lib/test_vmalloc.c: each has sizes, alignments and held areas of its own.
const TEST: Entry = Entry {
    max_pages: 0,
    live: None,
    ..ALLOC
};

const LIMIT: Entry = Entry {
    sides: BARE,
    default_sides: BARE,
    live: None,
    ..ALLOC
};

/// Calls a macro with every scenario, in the order in which they are documented: its name here, the
/// type that implements it, its name in a line of `bench/run`, and how its row differs from another
/// one. Those of `programs` need one; the limits are measured on the bare side alone.
macro_rules! scenario_table {
    ($with:ident) => {
        $with! {
            on_any_side {
                VaOnly: scenario::va_only::VaOnly = va_only { shapes: true, ..ALLOC },
                Vmap: scenario::map::Vmap = vmap { sides: BOTH | MAP_RAM | FAKES, ..ALLOC },
                Vmalloc: scenario::map::Vmalloc = vmalloc { shapes: true, ..ALLOC },
                LookupStart: scenario::lookup::Lookup<0> = lookup_start { ..LOOKUP },
                LookupInside: scenario::lookup::Lookup<1> = lookup_inside { ..LOOKUP },
                LookupMiss: scenario::lookup::Lookup<2> = lookup_miss { ..LOOKUP },
                ProducerConsumer: scenario::producer_consumer::ProducerConsumer =
                    producer_consumer { threads: 2, pairs: true, ..ALLOC },
                InfoRead: scenario::info_read::InfoRead =
                    info_read { sides: BOTH, live: Some(1_000), writers: true, ..ALLOC },
                FixSize: test::Test<{ test::FIX_SIZE }> =
                    fix_size_alloc_test { max_pages: 65_536, ..TEST },
                FullFit: test::Test<{ test::FULL_FIT }> = full_fit_alloc_test { ..TEST },
                LongBusyList: test::Test<{ test::LONG_BUSY_LIST }> =
                    long_busy_list_alloc_test { ..TEST },
                RandomSize: test::Test<{ test::RANDOM_SIZE }> = random_size_alloc_test { ..TEST },
                FixAlign: test::Test<{ test::FIX_ALIGN }> = fix_align_alloc_test { ..TEST },
                RandomSizeAlign: test::Test<{ test::RANDOM_SIZE_ALIGN }> =
                    random_size_align_alloc_test { ..TEST },
                AlignShift: test::Test<{ test::ALIGN_SHIFT }> = align_shift_alloc_test { ..TEST },
                VmMapRam: test::VmMapRam =
                    vm_map_ram_test { sides: BOTH, max_pages: 65_536, ..TEST },
                NoBlock: test::Test<{ test::NO_BLOCK }> =
                    no_block_alloc_test { sides: BOTH, max_pages: 65_536, ..TEST },
                Vrealloc: test::Vrealloc = vrealloc_test { sides: BOTH, ..TEST },
                Purge: scenario::purge::Purge =
                    purge { sides: BOTH, live: None, lazy: Some(50_000), ..ALLOC },
                LazySearch: scenario::lazy_search::LazySearch =
                    lazy_search {
                        sides: VMAPCACHE,
                        default_sides: VMAPCACHE,
                        max_pages: 0,
                        live: None,
                        lazy: Some(1_000),
                        ..ALLOC
                    },
            }
            programs {
                Replay: scenario::replay::Replay =
                    replay { sides: BOTH, max_pages: 0, live: None, ..ALLOC },
            }
            limits {
                BareMap: scenario::bare::BareMap = bare_map { ..LIMIT },
                BarePage: scenario::bare::BarePage = bare_page { ..LIMIT },
            }
        }
    };
}
// For the engine, which binds each to its type; a host test does not.
#[allow(unused_imports)]
pub(crate) use scenario_table;

macro_rules! scenarios {
    ($($group:ident {
        $($scenario:ident: $type:ty = $key:ident { $($differs:tt)* },)*
    })*) => {
        /// One scenario, by the name that a line of `bench/run` gives it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Scenario {
            $($($scenario,)*)*
        }

        /// Every scenario.
        pub(crate) const CATALOG: &[Entry] = &[$($(Entry {
            scenario: Scenario::$scenario,
            name: stringify!($key),
            $($differs)*
        },)*)*];
    };
}

scenario_table!(scenarios);

impl Scenario {
    /// The row of this scenario.
    pub(crate) fn entry(self) -> Option<&'static Entry> {
        CATALOG.iter().find(|e| e.scenario == self)
    }

    pub(crate) fn name(self) -> &'static str {
        self.entry().map_or("?", |e| e.name)
    }

    /// It measures something of existing areas, and so needs at least one.
    pub(crate) fn needs_live(self) -> bool {
        matches!(
            self,
            Scenario::LookupStart | Scenario::LookupInside | Scenario::LookupMiss
        )
    }
}
