// SPDX-License-Identifier: GPL-2.0

//! Recordings of what the kernel asks of the in-tree allocator.
//!
//! [`capture`] follows the tracepoints; [`gather`] makes requests of the events, which [`crate::trace`] reads,
//! and [`names`] finds their callers. [`file`] keeps them; [`list`] shows them, and [`replay`] makes them again, by the laboratory or on the [`native`] ground.

pub mod capture;
mod file;
mod gather;
pub mod list;
mod names;
mod native;
pub mod replay;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

/// Most requests of a recording.
pub const MOST_REQUESTS: usize = 20_000_000;

/// Says what a recording is of. It has no address: those of a kernel are secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    pub kernel: String,
    pub architecture: String,
    /// The processor's name.
    pub machine: String,
    /// Numbers of CPUs reach up to this one, which is none.
    pub cpus: u32,
    pub memory_mb: u64,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// How long it took.
    pub ns: u64,
    /// The command that ran meanwhile, if one did.
    pub command: Vec<String>,
    /// It is of a boot, from the kernel's beginning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub boot: bool,
    pub page_bytes: u64,
    /// Requests that follow.
    pub requests: u64,
    /// Events that the kernel's buffers had no room for, for each CPU. Allocations, frees and stacks all
    /// count.
    pub lost: Vec<u64>,
    /// Allocations that failed; they are not among the requests.
    pub failed: u64,
    /// Batches of lazy areas that the allocator purged, and the areas in them.
    pub purges: u64,
    pub purged: u64,
    /// Sizes of the address ranges that an allocation may lie in, in bytes.
    pub ranges: Vec<u64>,
    /// Functions that ask. The first one is none: nobody knows who it was.
    pub callers: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// Nanoseconds since the recording began.
    pub time: u64,
    pub cpu: u16,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    Alloc(Alloc),
    /// Frees an allocation, by its number, counted from 0; `None`: one from before the recording.
    Free(Option<u32>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alloc {
    /// As the allocator was asked for: nearly always with a guard page.
    pub pages: u32,
    /// The alignment is 1 << this, in bytes.
    pub align_shift: u8,
    /// Index in [`Head::ranges`].
    pub range: u8,
    /// Index in [`Head::callers`].
    pub caller: u32,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    pub head: Head,
    pub requests: Vec<Request>,
}

impl Recording {
    /// Allocations, frees, and those of the frees whose allocation is older.
    pub fn counts(&self) -> (u64, u64, u64) {
        self.requests
            .iter()
            .fold((0, 0, 0), |(allocs, frees, older), r| match r.what {
                What::Alloc(_) => (allocs + 1, frees, older),
                What::Free(of) => (allocs, frees + 1, older + u64::from(of.is_none())),
            })
    }
}
