// SPDX-License-Identifier: GPL-2.0

//! The texts and numbers for callers and the kernel log when an allocation failed or a free was
//! refused: one text, or one `enum vc_misuse`, for each reason.

use crate::{
    bindings::vc_misuse,
    pages::mapping::BadPages,
    sys::NoMemory,
    va::{AllocError, FreeError},
};
use core::ffi::CStr;
use kernel::error::{
    code::{EINVAL, ENOMEM},
    Error,
};

/// Why an allocation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The caller asked for no bytes.
    ZeroSize,
    /// More than the arena has.
    AboveArena,
    /// More than the machine's memory.
    AboveMemory,
    /// An alignment larger than the arena.
    AlignTooLarge,
    /// The area manager found no area.
    Va(AllocError),
    /// No memory for the area's own pages, or to map them.
    NoPages,
    /// No memory to map the caller's pages.
    NoPageTables,
    /// Nobody can map the caller's pages.
    BadPages(BadPages),
}

impl From<AllocError> for Failure {
    fn from(e: AllocError) -> Self {
        Self::Va(e)
    }
}

impl Failure {
    /// Whether the same request may succeed later.
    pub(super) fn may_pass(self) -> bool {
        match self {
            Self::Va(e) => e != AllocError::Invalid,
            Self::NoPages | Self::NoPageTables => true,
            Self::ZeroSize
            | Self::AboveArena
            | Self::AboveMemory
            | Self::AlignTooLarge
            | Self::BadPages(_) => false,
        }
    }

    /// Its number for those who trace. A caller gets null.
    pub(super) fn errno(self) -> i32 {
        match self {
            Self::ZeroSize
            | Self::AlignTooLarge
            | Self::Va(AllocError::Invalid)
            | Self::BadPages(_) => EINVAL.to_errno(),
            Self::AboveArena
            | Self::AboveMemory
            | Self::Va(AllocError::NoSpace | AllocError::NoMemory)
            | Self::NoPages
            | Self::NoPageTables => ENOMEM.to_errno(),
        }
    }

    /// In a few words.
    pub(super) fn text(self) -> &'static CStr {
        match self {
            Self::ZeroSize => c"size 0",
            Self::AboveArena => c"more than the arena holds",
            Self::AboveMemory => c"more than the memory holds",
            Self::AlignTooLarge => c"alignment above the arena's",
            Self::Va(AllocError::Invalid) => c"alignment is no power of two",
            Self::Va(AllocError::NoSpace) => c"no free extent",
            Self::Va(AllocError::NoMemory) => c"no memory for bookkeeping",
            Self::NoPages => c"no memory for pages or page tables",
            Self::NoPageTables => c"no memory for page tables",
            Self::BadPages(BadPages::NoArray) => c"no array of pages",
            Self::BadPages(BadPages::Hole) => c"a page of the array is NULL",
            Self::BadPages(BadPages::NoFrame) => c"a page of the array has no page frame",
        }
    }
}

/// The kernel log's name for a refused free.
pub(super) fn misuse(e: FreeError) -> vc_misuse {
    match e {
        FreeError::Foreign => vc_misuse::VC_MISUSE_FOREIGN,
        FreeError::NoArea => vc_misuse::VC_MISUSE_NO_AREA,
        FreeError::Inner => vc_misuse::VC_MISUSE_INNER,
        FreeError::DoubleFree => vc_misuse::VC_MISUSE_DOUBLE_FREE,
    }
}

impl From<NoMemory> for Error {
    fn from(_: NoMemory) -> Self {
        ENOMEM
    }
}
