// SPDX-License-Identifier: GPL-2.0

//! `info_read`: the list of all areas is read as a user reads it, from procfs, among `live=`
//! areas and while `writers=` allocate. An operation is the whole file; what it costs the
//! writers stands in `writer_cpu_ns`.

use super::{At, Scenario, Stuff};
use crate::{
    bindings,
    line::Spec,
    measure::Step,
    side::{Held, Side},
};
use core::ptr::NonNull;
use kernel::prelude::*;

/// What a user's `cat` reads at once.
const BUFFER: usize = 128 << 10;

/// An open file of procfs.
struct ListFile(NonNull<bindings::file>);

// SAFETY: The reference to the file is owned; files may be read and closed in any task.
unsafe impl Send for ListFile {}
// SAFETY: A shared reference only reads, at a position of its own; seq_file takes its own lock.
unsafe impl Sync for ListFile {}

impl ListFile {
    /// In the calling task's view of the file system: kernel threads may have none of procfs.
    fn open(path: &CStr) -> Result<Self> {
        // SAFETY: The path ends with a zero, and this may sleep.
        let file = unsafe { bindings::vc_bench_open(path.as_char_ptr()) };
        Ok(ListFile(NonNull::new(file).ok_or(ENODEV)?))
    }

    /// Reads it from beginning to end; the number of bytes.
    fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let (at, length) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: The file is open, the buffer has the length that is told, this may sleep.
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
