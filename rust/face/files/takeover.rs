// SPDX-License-Identifier: GPL-2.0

//! debugfs `vmapcache/takeover/`.
//!
//! Documented in Documentation/ABI/testing/debugfs-vmapcache.

use crate::face::{
    allocator::Allocator,
    files::{
        debugfs::{number, text},
        directory::Directory,
        info::{self, Readers},
        words,
    },
    takeover::{self, Filter, Mode},
};
use kernel::{fmt, page::PAGE_SHIFT, prelude::*, sync::Arc, uaccess::UserSliceReader};

/// Makes the directory. May sleep.
///
/// # Errors
///
/// `ENOMEM`.
pub(super) fn directory(
    top: &Directory<Readers>,
    allocator: Arc<Allocator>,
) -> Result<Directory<Allocator>> {
    let mut files = top.directory(c"takeover", allocator)?;
    files.read_write(
        c"enable",
        |_, f| writeln!(f, "{}", Mode::now().word()),
        |_, from| enable(from),
    )?;
    files.read_write(c"what", |_, f| what(f), |_, from| set_what(from))?;
    files.read_write(c"filter", |_, f| filter(f), |_, from| set_filter(from))?;
    files.read(c"stats", stats)?;
    files.read(c"holders", holders)?;
    files.write(c"drain", drain)?;
    Ok(files)
}

/// The bytes of a write.
fn read<'a>(from: &mut UserSliceReader, room: &'a mut [u8; words::MAX]) -> Result<&'a [u8]> {
    let text = room.get_mut(..from.len()).ok_or(EINVAL)?;
    from.read_slice(text)?;
    Ok(text)
}

// ---- enable ----

fn enable(from: &mut UserSliceReader) -> Result {
    let mut room = [0; words::MAX];
    let mut words = words::words(read(from, &mut room)?).ok_or(EINVAL)?;
    match (words.next().and_then(Mode::named), words.next()) {
        (Some(mode), None) => mode.set(),
        _ => Err(EINVAL),
    }
}

// ---- what ----

/// The word for nothing.
const NONE: &str = "none";

fn what(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mask = takeover::what();
    let mut gap = "";
    for (bit, name) in takeover::targets().enumerate() {
        if mask & 1 << bit != 0 {
            write!(f, "{gap}{}", text(name))?;
            gap = " ";
        }
    }
    writeln!(f, "{}", if mask == 0 { NONE } else { "" })
}

fn set_what(from: &mut UserSliceReader) -> Result {
    let mut room = [0; words::MAX];
    let words = words::words(read(from, &mut room)?).ok_or(EINVAL)?;
    let mut mask = 0;
    let none = words.clone().eq([NONE]);
    for word in words.filter(|_| !none) {
        let mut names = takeover::targets();
        let bit = names.position(|name| text(name) == word).ok_or(EINVAL)?;
        mask |= 1 << bit;
    }
    takeover::set_what(mask);
    Ok(())
}

// ---- filter ----

/// The word for no rule.
const ALL: &str = "all";

fn filter(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut gap = "";
    let mut result = Ok(());
    takeover::rules(|name, module, exclude| {
        let not = if exclude { "!" } else { "" };
        let (open, close) = if module { ("[", "]") } else { ("", "") };
        result = result.and_then(|()| write!(f, "{gap}{not}{open}{name}{close}"));
        gap = " ";
    });
    result?;
    writeln!(f, "{}", if gap.is_empty() { ALL } else { "" })
}

fn set_filter(from: &mut UserSliceReader) -> Result {
    let mut room = [0; words::MAX];
    let words = words::words(read(from, &mut room)?).ok_or(EINVAL)?;
    if words.clone().eq([ALL]) {
        Filter::clear();
        return Ok(());
    }
    let mut filter = Filter::new(words.clone().count())?;
    for word in words {
        let rule = words::rule(word).ok_or(EINVAL)?;
        filter.add(rule.name, rule.module, rule.exclude)?;
    }
    filter.install();
    Ok(())
}

// ---- stats, holders, drain ----

fn stats(a: &Allocator, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let held = takeover::held(a);
    writeln!(f, "areas_held {}", held.areas())?;
    writeln!(f, "bytes_held {}", held.pages() << PAGE_SHIFT)?;
    for (target, name) in takeover::targets().enumerate() {
        for (index, (fate, calls)) in takeover::calls(target as u32).enumerate() {
            if index == 0 || calls != 0 {
                writeln!(f, "{}_{} {calls}", text(name), text(fate))?;
            }
        }
    }
    for (name, state) in takeover::hooks() {
        writeln!(f, "hook_{} {}", text(name), text(state))?;
    }
    Ok(())
}

fn holders(a: &Allocator, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let callers = a.manager().unaware_callers();
    info::list(a, callers.filter(|top| top.totals.areas() != 0), f)
}

fn drain(a: &Allocator, from: &mut UserSliceReader) -> Result {
    if number(from)? != 1 {
        return Err(EINVAL);
    }
    takeover::drain(a);
    Ok(())
}
