// SPDX-License-Identifier: GPL-2.0

//! Directories in debugfs, and files that show or take text.
//!
//! As `kernel::debugfs`, whose files have no owner, however: a file that is still open when the
//! module goes is closed by functions that went with it. Here an open file keeps the module loaded.
//!
//! # Invariants
//!
//! - What a file's functions are given stays until the directory is removed, which waits for them.

use crate::bindings;
use core::{ffi::CStr, marker::PhantomData, mem::MaybeUninit, ptr::NonNull};
use kernel::{
    ffi::{c_char, c_int},
    fmt,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::Arc,
    uaccess::{UserPtr, UserSlice, UserSliceReader},
};

/// Shows a file's text.
pub(crate) type Show<T> = fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result;
/// Hands out a file's text, which is there already.
pub(crate) type Hand<T> = fn(&T, &mut Out<'_>) -> Result;
/// Takes what is written to a file, all of one write.
pub(crate) type Take<T> = fn(&T, &mut UserSliceReader) -> Result;

/// A directory's entry, or an error pointer, which debugfs takes as well.
struct Entry {
    dentry: *mut bindings::dentry,
    /// Must not go first.
    _parent: Option<Arc<Entry>>,
}

// SAFETY: debugfs may be called from any task.
unsafe impl Send for Entry {}
// SAFETY: As above, and with a shared reference only files and directories are added, for which
// debugfs takes the locks it needs.
unsafe impl Sync for Entry {}

impl Drop for Entry {
    fn drop(&mut self) {
        // SAFETY: It comes from `vc_directory` and is removed once: here.
        unsafe { bindings::vc_directory_remove(self.dentry) };
    }
}

/// One file. C sees the first field.
#[repr(C)]
struct File<T> {
    functions: bindings::vc_file,
    data: Arc<T>,
    from: Source<T>,
    take: Option<Take<T>>,
}

/// Where a file's text comes from.
enum Source<T> {
    Nothing,
    Show(Show<T>),
    Hand(Hand<T>),
}

/// Where text goes that needs no formatting: a copy, and no more.
pub(crate) struct Out<'a> {
    m: *mut kernel::bindings::seq_file,
    _m: PhantomData<&'a SeqFile>,
}

/// Where text can be put; what was there before is nobody's.
pub(crate) type Room<'a> = &'a mut [MaybeUninit<u8>];

impl Out<'_> {
    /// Has `fill` put text into what room is left, and takes it if `fill` returns its length. With
    /// more than there was room for, the kernel asks again with a larger buffer. Returns whether
    /// there was a length.
    ///
    /// `fill` writes all that it says is there: bytes of the buffer go to the reader as they are.
    pub(crate) fn fill(&mut self, fill: impl FnOnce(Room<'_>) -> Option<usize>) -> bool {
        let mut at = core::ptr::null_mut();
        // SAFETY: It is the `seq_file` of this task, borrowed as long as `self` is.
        let len = unsafe { bindings::vc_text_room(self.m.cast(), &mut at) };
        let room: Room<'_> = match NonNull::new(at) {
            // SAFETY: The room is that long, and this task's until it is taken or left.
            Some(at) => unsafe { core::slice::from_raw_parts_mut(at.cast().as_ptr(), len) },
            None => &mut [],
        };
        let Some(filled) = fill(room) else {
            return false;
        };
        // SAFETY: As above; what does not fit is not taken.
        unsafe { bindings::vc_text_take(self.m.cast(), filled) };
        true
    }

    /// Adds to the text.
    pub(crate) fn put(&mut self, text: &[u8]) {
        // SAFETY: It is the `seq_file` of this task, borrowed as long as `self` is. If the buffer is
        // too small the kernel notes that and asks again with a larger one.
        unsafe { kernel::bindings::seq_write(self.m, text.as_ptr().cast(), text.len()) };
    }
}

/// A directory whose files show and change a `T`. It is removed when this is dropped.
///
/// Without debugfs in the kernel, or where a name is taken, there is nothing to be seen, which is
/// no error, as everywhere in debugfs.
pub(crate) struct Directory<T: Sync + Send + 'static> {
    // Dropped, and removed, before the files' records.
    entry: Arc<Entry>,
    files: KVec<KBox<File<T>>>,
    data: Arc<T>,
}

impl<T: Sync + Send + 'static> Directory<T> {
    /// Makes the directory `name` in debugfs itself. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(name: &CStr, data: Arc<T>) -> Result<Self> {
        Self::make(name, None, data)
    }

    /// Makes the directory `name` in this one, over something else. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn directory<U: Sync + Send + 'static>(
        &self,
        name: &CStr,
        data: Arc<U>,
    ) -> Result<Directory<U>> {
        Directory::make(name, Some(self.entry.clone()), data)
    }

    /// Makes the directory `name` in `above`, which another module has made in debugfs itself, and
    /// which it keeps for as long. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    #[allow(dead_code)] // Only the laboratory's directory lies in another module's.
    pub(crate) fn within(above: &CStr, name: &CStr, data: Arc<T>) -> Result<Self> {
        let (above, name) = (above.as_char_ptr().cast(), name.as_char_ptr().cast());
        // SAFETY: Both names are strings.
        let dentry = unsafe { bindings::vc_directory_within(above, name) };
        Self::over(dentry, None, data)
    }

    fn make(name: &CStr, parent: Option<Arc<Entry>>, data: Arc<T>) -> Result<Self> {
        let at = parent
            .as_ref()
            .map_or(core::ptr::null_mut(), |entry| entry.dentry);
        // SAFETY: The name is a string; the parent is null, or alive by the reference to it.
        let dentry = unsafe { bindings::vc_directory(name.as_char_ptr().cast(), at) };
        Self::over(dentry, parent, data)
    }

    fn over(
        dentry: *mut bindings::dentry,
        parent: Option<Arc<Entry>>,
        data: Arc<T>,
    ) -> Result<Self> {
        let entry = Entry {
            dentry,
            _parent: parent,
        };
        Ok(Self {
            entry: Arc::new(entry, GFP_KERNEL)?,
            files: KVec::new(),
            data,
        })
    }

    /// Adds a file that shows something. Mode 0400.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn read(&mut self, name: &CStr, show: Show<T>) -> Result {
        self.add(name, Source::Show(show), None)
    }

    /// Adds a file whose text is at hand. Mode 0400.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn hand(&mut self, name: &CStr, hand: Hand<T>) -> Result {
        self.add(name, Source::Hand(hand), None)
    }

    /// Adds a file that takes something. Mode 0200.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn write(&mut self, name: &CStr, take: Take<T>) -> Result {
        self.add(name, Source::Nothing, Some(take))
    }

    /// Adds a file that shows something and takes something. Mode 0600.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn read_write(&mut self, name: &CStr, show: Show<T>, take: Take<T>) -> Result {
        self.add(name, Source::Show(show), Some(take))
    }

    fn add(&mut self, name: &CStr, from: Source<T>, take: Option<Take<T>>) -> Result {
        let functions = bindings::vc_file {
            show: (!matches!(from, Source::Nothing))
                .then_some(show_file::<T> as unsafe extern "C" fn(_, _) -> _),
            write: take.map(|_| write_file::<T> as unsafe extern "C" fn(_, _, _) -> _),
        };
        let file = File {
            functions,
            data: self.data.clone(),
            from,
            take,
        };
        let file = KBox::new(file, GFP_KERNEL)?;
        let functions = NonNull::from(&*file).cast();
        self.files.push(file, GFP_KERNEL)?;
        // SAFETY: The name is a string. The record stays where it is, in its box, until the
        // entry, which is dropped first, is removed.
        unsafe {
            bindings::vc_directory_file(
                name.as_char_ptr().cast(),
                self.entry.dentry,
                functions.as_ptr(),
            )
        };
        Ok(())
    }
}

/// Text by a function.
struct Shown<'a, T>(&'a T, Show<T>);

impl<T> fmt::Display for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.1)(self.0, f)
    }
}

/// # Safety
///
/// `file` is the first field of a `File<T>` that is alive, and `m` a `seq_file` of this task.
unsafe extern "C" fn show_file<T>(
    m: *mut bindings::seq_file,
    file: *const bindings::vc_file,
) -> c_int {
    // SAFETY: By the function's contract; it was made by `add`.
    let file = unsafe { &*file.cast::<File<T>>() };
    // SAFETY: By the function's contract. Both bindings mean the kernel's `struct seq_file`.
    let seq = unsafe { SeqFile::from_raw(m.cast()) };
    let result = match file.from {
        Source::Nothing => Ok(()),
        Source::Show(show) => {
            seq_print!(seq, "{}", Shown(&*file.data, show));
            Ok(())
        }
        Source::Hand(hand) => hand(
            &file.data,
            &mut Out {
                m: m.cast(),
                _m: PhantomData,
            },
        ),
    };
    result.map_or_else(|e| e.to_errno(), |()| 0)
}

/// # Safety
///
/// `file` is the first field of a `File<T>` that is alive.
unsafe extern "C" fn write_file<T>(
    file: *const bindings::vc_file,
    from: *const c_char,
    len: usize,
) -> isize {
    // SAFETY: By the function's contract; it was made by `add`.
    let file = unsafe { &*file.cast::<File<T>>() };
    let from = UserPtr::from_ptr(from.cast_mut().cast());
    let mut reader = UserSlice::new(from, len).reader();
    match file.take.map(|take| take(&file.data, &mut reader)) {
        Some(Ok(())) => len as isize,
        Some(Err(e)) => e.to_errno() as isize,
        None => EINVAL.to_errno() as isize,
    }
}
