// SPDX-License-Identifier: GPL-2.0

//! Every switch, one entry each: its name, its default, what it turns.
//!
//! A switch leaves an idea out, to measure what that idea is worth. The table below makes [`Switch`] and
//! the files of debugfs `switches/`; `scripts/check-keys` compares the documents, the laboratory and
//! the tool with it. `Switches` alone knows whether a switch is on; the code of the idea asks there.

use crate::{
    sys::sync::{AtomicU32, Ordering::Relaxed},
    va::{Env, Manager},
};

/// Calls a macro with all entries.
macro_rules! switch_table {
    ($with:ident) => {
        $with! {
            /// A search for free space begins where the last one ended; off: at the lowest address.
            FreeAreaCache: free_area_cache = true,
            /// Clean addresses are kept per CPU and size; off: each allocation searches.
            Magazines: magazines = true,
            /// The area found last is looked at first.
            LookupCache: lookup_cache = true,
            /// What info shows is kept until something changes.
            InfoCache: info_cache = true,
        }
    };
}
// The face makes a file of each; host tests have none.
#[allow(unused_imports)]
pub(crate) use switch_table;

macro_rules! switches {
    ($($(#[$doc:meta])* $switch:ident: $key:ident = $default:literal,)*) => {
        /// An idea that can be switched off.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Switch {
            $($(#[$doc])* $switch,)*
        }

        impl Switch {
            /// All switches.
            pub const ALL: &'static [Self] = &[$(Self::$switch,)*];

            /// Its name, as in debugfs `switches/`.
            #[allow(dead_code, reason = "only tests on the host call it")]
            pub fn key(self) -> &'static str {
                match self {
                    $(Self::$switch => stringify!($key),)*
                }
            }

            fn default(self) -> bool {
                match self {
                    $(Self::$switch => $default,)*
                }
            }
        }
    };
}

switch_table!(switches);

impl Switch {
    /// The switch of that name.
    #[allow(dead_code, reason = "only tests on the host call it")]
    pub fn named(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|switch| switch.key() == key)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Which switches are on: a bit for each.
pub(super) struct Switches(AtomicU32);

impl Switches {
    /// All switches at their defaults.
    pub(super) fn new() -> Self {
        let on = Switch::ALL.iter().filter(|switch| switch.default());
        Self(AtomicU32::new(
            on.fold(0, |bits, switch| bits | switch.bit()),
        ))
    }

    /// Whether a switch is on. Any context.
    #[inline(always)]
    pub(super) fn on(&self, switch: Switch) -> bool {
        self.0.load(Relaxed) & switch.bit() != 0
    }

    /// Turns a switch. Returns whether it was on.
    fn turn(&self, switch: Switch, on: bool) -> bool {
        let before = if on {
            self.0.fetch_or(switch.bit(), Relaxed)
        } else {
            self.0.fetch_and(!switch.bit(), Relaxed)
        };
        before & switch.bit() != 0
    }
}

impl<E: Env> Manager<E> {
    /// Whether an idea is on. Any context.
    #[inline(always)]
    pub fn switch(&self, switch: Switch) -> bool {
        self.switches.on(switch)
    }

    /// Turns an idea on or off. Clean areas in magazines stay there until the next
    /// [`Purge::Drain`](super::Purge::Drain). May sleep.
    pub fn set_switch(&self, switch: Switch, on: bool) {
        let was = self.switches.turn(switch, on);
        match switch {
            Switch::Magazines if was && !on => self.end_lazy(),
            // Each shard forgets what its cache has proved.
            Switch::FreeAreaCache => self.shards.set_cache(on),
            _ => {}
        }
    }
}
