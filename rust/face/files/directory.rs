// SPDX-License-Identifier: GPL-2.0

//! Directories in debugfs, and files that show or take text.
//!
//! `kernel::debugfs` has files, too, but they have no owner: if one is still open when the module
//! goes, the kernel closes it by functions that are gone. Here an open file keeps the module loaded.
//!
//! # Invariants
//!
//! - The data of a file's functions stays until the directory is removed, which waits for them.

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
/// Hands out a file's text, which exists already.
pub(crate) type Hand<T> = fn(&T, &mut Out<'_>) -> Result;
/// Takes all bytes of one write to a file.
pub(crate) type Take<T> = fn(&T, &mut UserSliceReader) -> Result;

/// A directory's entry, or an error pointer, which debugfs takes as well.
struct Entry {
    dentry: *mut bindings::dentry,
    /// Must outlive this entry.
    _parent: Option<Arc<Entry>>,
}

// SAFETY: debugfs may be called from any task.
unsafe impl Send for Entry {}
// SAFETY: As above. A shared reference only adds files and directories, and debugfs takes the locks
// that it needs for this.
unsafe impl Sync for Entry {}

impl Drop for Entry {
    fn drop(&mut self) {
        // SAFETY: It comes from `vc_directory`, and only this removes it.
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

/// Takes text that needs no formatting: it only copies.
pub(crate) struct Out<'a> {
    m: *mut kernel::bindings::seq_file,
    _m: PhantomData<&'a SeqFile>,
}

/// Room for text. Its old content means nothing.
pub(crate) type Room<'a> = &'a mut [MaybeUninit<u8>];

impl Out<'_> {
    /// Lets `fill` put text into the free room, and takes the text if `fill` returns its length. If
    /// that is more than the room, the kernel asks again with a larger buffer. Returns whether `fill`
    /// returned a length.
    ///
    /// `fill` must write as many bytes as it returns: the reader gets the buffer as it is.
    pub(crate) fn fill(&mut self, fill: impl FnOnce(Room<'_>) -> Option<usize>) -> bool {
        let mut at = core::ptr::null_mut();
        // SAFETY: It is the `seq_file` of this task, borrowed as long as `self` is.
        let len = unsafe { bindings::vc_text_room(self.m.cast(), &mut at) };
        let room: Room<'_> = match NonNull::new(at) {
            // SAFETY: The room is that long. It belongs to this task until `vc_text_take`.
            Some(at) => unsafe { core::slice::from_raw_parts_mut(at.cast().as_ptr(), len) },
            None => &mut [],
        };
        let Some(filled) = fill(room) else {
            return false;
        };
        // SAFETY: As above. `vc_text_take` takes no more than fits.
        unsafe { bindings::vc_text_take(self.m.cast(), filled) };
        true
    }

    /// Adds to the text.
    pub(crate) fn put(&mut self, text: &[u8]) {
        // SAFETY: It is the `seq_file` of this task, borrowed as long as `self` is. If the buffer is
        // too small, the kernel notes that and asks again with a larger one.
        unsafe { kernel::bindings::seq_write(self.m, text.as_ptr().cast(), text.len()) };
    }
}

/// A directory whose files show and change a `T`. Dropping it removes the directory.
///
/// If the kernel has no debugfs, or a name is taken, no file appears. As everywhere in debugfs, that
/// is no error.
pub(crate) struct Directory<T: Sync + Send + 'static> {
    // Dropped before the files' records, and so removed before them.
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

    /// Makes the directory `name` in this one, for other data. May sleep.
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

    /// Makes the directory `name` in `above`, a directory in debugfs that another module has made and
    /// keeps for as long. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    #[allow(dead_code)] // Only the laboratory's directory is in another module's.
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

    /// Adds a file to read. Mode 0400.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn read(&mut self, name: &CStr, show: Show<T>) -> Result {
        self.add(name, Source::Show(show), None)
    }

    /// Adds a file to read whose text exists already. Mode 0400.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn hand(&mut self, name: &CStr, hand: Hand<T>) -> Result {
        self.add(name, Source::Hand(hand), None)
    }

    /// Adds a file to write. Mode 0200.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn write(&mut self, name: &CStr, take: Take<T>) -> Result {
        self.add(name, Source::Nothing, Some(take))
    }

    /// Adds a file to read and write. Mode 0600.
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
        // SAFETY: The name is a string. The record stays in its box until the entry is removed, which
        // is dropped first.
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

/// Formats text by a function.
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
