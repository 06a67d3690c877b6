// SPDX-License-Identifier: GPL-2.0

//! `info_read`: reads the list of all areas from procfs, as a user does, among `live=` areas and while
//! `writers=` allocate. An operation reads the whole file. `writer_cpu_ns` shows what that costs the
//! writers.

use super::{At, Scenario, Stuff};
use crate::{
    bindings,
    line::Spec,
    measure::Step,
    side::{Held, Side},
};
use core::ptr::NonNull;
use kernel::prelude::*;

/// A user's `cat` reads this much at once.
const BUFFER: usize = 128 << 10;

/// An open file of procfs.
struct ListFile(NonNull<bindings::file>);

// SAFETY: This owns the reference to the file; any task may read and close files.
unsafe impl Send for ListFile {}
// SAFETY: A shared reference only reads, at a position of its own; seq_file takes its own lock.
unsafe impl Sync for ListFile {}

impl ListFile {
    /// Opens it as the calling task sees the file system: kernel threads may see no procfs.
    fn open(path: &CStr) -> Result<Self> {
        // SAFETY: The path ends with a zero, and this may sleep.
        let file = unsafe { bindings::vc_bench_open(path.as_char_ptr()) };
        Ok(ListFile(NonNull::new(file).ok_or(ENODEV)?))
    }

    /// Reads it from beginning to end. Returns the number of bytes.
    fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let (at, length) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: The file is open, `len` is the buffer's length, this may sleep.
        let n = unsafe { bindings::vc_bench_read(self.0.as_ptr(), at, length) };
        usize::try_from(n).map_err(|_| EIO)
    }
}

impl Drop for ListFile {
    fn drop(&mut self) {
        // SAFETY: Opened by `open`, closed only here.
        unsafe { bindings::vc_bench_close(self.0.as_ptr()) }
    }
}

/// One open file for each thread.
pub(crate) struct InfoRead {
    files: KVec<ListFile>,
}

impl<S: Side> Scenario<S> for InfoRead {
    const STUFF: Stuff = Stuff::Nothing;

    fn batch(_spec: &Spec) -> u32 {
        1
    }

    fn prepare(spec: &Spec, side: &S, _live: &mut KVVec<Held>) -> Result<Self> {
        let path = side.list_path().ok_or(ENODEV)?;
        let mut files = KVec::new();
        for _ in 0..spec.threads {
            files.push(ListFile::open(path)?, GFP_KERNEL)?;
        }
        Ok(InfoRead { files })
    }

    fn worker<'a>(&'a self, at: At<'a, S>) -> Result<impl Step + 'a> {
        let file = self.files.get(at.thread as usize).ok_or(EINVAL)?;
        let mut buffer = KVVec::from_elem(0u8, BUFFER, GFP_KERNEL)?;
        Ok(move || file.read(&mut buffer).is_ok_and(|n| n > 0))
    }
}
