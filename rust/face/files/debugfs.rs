// SPDX-License-Identifier: GPL-2.0

//! debugfs `vmapcache/`: counters, purges, switches.
//!
//! Documented in Documentation/ABI/testing/debugfs-vmapcache.

use crate::{
    face::{
        allocator::{Allocator, LAZY_MAX_PAGES},
        files::{
            directory::Directory,
            info::{self, Readers},
            number, takeover,
        },
        guards,
    },
    pages::symbols,
    va::{switches::switch_table, Purge, Switch},
};
use core::ffi::CStr;
use kernel::{fmt, page::PAGE_SHIFT, prelude::*, sync::Arc, uaccess::UserSliceReader};

/// The directories. Dropping it removes them, after their last reader.
pub(crate) struct Debugfs {
    #[cfg(faults)]
    _faults: Directory<Allocator>,
    _switches: Directory<Allocator>,
    _takeover: Directory<Allocator>,
    _top: Directory<Readers>,
}

impl Debugfs {
    /// Makes the directories. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(allocator: Arc<Allocator>) -> Result<Self> {
        let mut top = Directory::new(c"vmapcache", Readers::new(allocator.clone())?)?;
        info::add(&mut top)?;
        top.read(c"stats", |readers, f| stats(readers.allocator(), f))?;
        top.write(c"purge", |readers, from| purge(readers.allocator(), from))?;
        top.read_write(
            LAZY_MAX_PAGES,
            |readers, f| lazy_max(readers.allocator(), f),
            |readers, from| set_lazy_max(readers.allocator(), from),
        )?;
        #[cfg(faults)]
        let faults = faults(&top, allocator.clone())?;
        let takeover = takeover::directory(&top, allocator.clone())?;
        let mut switches = top.directory(c"switches", allocator)?;
        add_switches(&mut switches)?;
        Ok(Self {
            #[cfg(faults)]
            _faults: faults,
            _switches: switches,
            _takeover: takeover,
            _top: top,
        })
    }
}

// ---- stats ----

fn stats(a: &Allocator, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (key, value) in a.manager().stats().lines(PAGE_SHIFT) {
        writeln!(f, "{key} {value}")?;
    }
    for symbol in symbols::all() {
        let how = symbol.how.unwrap_or(c"none");
        writeln!(f, "symbol_{} {}", text(symbol.name), text(how))?;
    }
    for guard in guards::all() {
        writeln!(f, "guard_{} {}", text(guard.name), text(guard.state))?;
    }
    Ok(())
}

pub(super) fn text(s: &'static CStr) -> &'static str {
    s.to_str().unwrap_or("?")
}

// ---- purge and lazy_max_pages ----

/// A number, alone on a line.
pub(super) fn number(reader: &mut UserSliceReader) -> Result<u32> {
    let mut buf = [0u8; number::MAX];
    let len = reader.len();
    let buf = buf.get_mut(..len).ok_or(EINVAL)?;
    reader.read_slice(buf)?;
    number::parse(buf).ok_or(EINVAL)
}

/// Writing 1 purges everything lazy before the write returns.
fn purge(a: &Allocator, reader: &mut UserSliceReader) -> Result {
    if number(reader)? != 1 {
        return Err(EINVAL);
    }
    a.purge(Purge::Full);
    Ok(())
}

fn lazy_max(a: &Allocator, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", a.manager().lazy_max())
}

fn set_lazy_max(a: &Allocator, reader: &mut UserSliceReader) -> Result {
    a.manager().set_lazy_max(number(reader)?);
    Ok(())
}

// ---- switches ----

/// A file's name.
macro_rules! name {
    ($key:ident) => {
        const { CStr::from_bytes_until_nul(concat!(stringify!($key), "\0").as_bytes()) }
            .map_err(|_| EINVAL)?
    };
}

/// Adds a file for each flag: 1 means on, 0 means off.
macro_rules! flags {
    ($directory:ident, $get:expr, $set:expr; $($name:expr => $flag:expr),* $(,)?) => {
        // A file's functions capture nothing, so each flag needs its own.
        $($directory.read_write(
            $name,
            |a, f| writeln!(f, "{}", u8::from($get(a, $flag))),
            |a, reader| {
                let on = match number(reader)? {
                    0 => false,
                    1 => true,
                    _ => return Err(EINVAL),
                };
                $set(a, $flag, on);
                Ok(())
            },
        )?;)*
    };
}

fn add_switches(directory: &mut Directory<Allocator>) -> Result {
    macro_rules! files {
        ($($(#[$doc:meta])* $switch:ident: $key:ident = $default:literal,)*) => {
            flags! {
                directory,
                |a: &Allocator, switch| a.manager().switch(switch),
                |a: &Allocator, switch, on| a.manager().set_switch(switch, on);
                $(name!($key) => Switch::$switch,)*
            }
        };
    }
    switch_table!(files);
    Ok(())
}

/// The steps that a test can leave out or delay; see [`crate::va::faults`].
#[cfg(faults)]
fn faults(top: &Directory<Readers>, allocator: Arc<Allocator>) -> Result<Directory<Allocator>> {
    use crate::va::faults::Fault;

    pr_warn!("built with faults, for tests of the tests only\n");
    let mut directory = top.directory(c"faults", allocator)?;
    flags! {
        directory, |_, fault: Fault| fault.on(), |_, fault: Fault, on| fault.set(on);
        c"no_flush" => Fault::NoFlush,
        c"no_wait" => Fault::NoWait,
        c"no_purge" => Fault::NoPurge,
        c"give_twice" => Fault::GiveTwice,
        c"late_worker" => Fault::LateWorker,
        c"slow_worker" => Fault::SlowWorker,
    }
    Ok(directory)
}
