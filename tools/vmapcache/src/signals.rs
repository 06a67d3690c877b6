// SPDX-License-Identifier: GPL-2.0

//! Signals that end this program wait while it has loaded modules: it must unload them first.

use std::{
    ffi::c_int,
    sync::atomic::{AtomicI32, Ordering::Relaxed},
};

const SIGHUP: c_int = 1;
const SIGINT: c_int = 2;
const SIGPIPE: c_int = 13;
const SIGTERM: c_int = 15;
const SIG_DFL: usize = 0;
const SIG_IGN: usize = 1;

const ENDING: [c_int; 3] = [SIGHUP, SIGINT, SIGTERM];

/// Ctrl-C's, as `caught` returns it.
pub const INTERRUPT: u8 = SIGINT as u8;

/// The first that came; 0 is none.
static CAUGHT: AtomicI32 = AtomicI32::new(0);

extern "C" {
    fn signal(number: c_int, handler: usize) -> usize;
}

extern "C" fn note(number: c_int) {
    let _ = CAUGHT.compare_exchange(0, number, Relaxed, Relaxed);
}

/// Sets the action of a signal, and returns the old one.
fn set(number: c_int, handler: usize) -> usize {
    // SAFETY: `handler` is SIG_DFL, SIG_IGN, what this function returned, or `note`, which lives as
    // long as the program and does nothing that a signal handler must not do.
    unsafe { signal(number, handler) }
}

/// If the reader of our output goes, this program ends quietly, as others do.
pub fn usual() {
    set(SIGPIPE, SIG_DFL);
}

/// While this lives, a signal is only noted, and an interrupted system call says so.
pub struct PutOff {
    before: [usize; ENDING.len()],
}

impl PutOff {
    pub fn begin() -> PutOff {
        set(SIGPIPE, SIG_IGN);
        PutOff {
            // A signal that nohup ignores stays ignored.
            before: ENDING.map(|number| {
                let before = set(number, note as *const () as usize);
                if before == SIG_IGN {
                    set(number, SIG_IGN);
                }
                before
            }),
        }
    }
}

impl Drop for PutOff {
    fn drop(&mut self) {
        for (number, before) in ENDING.into_iter().zip(self.before) {
            set(number, before);
        }
        usual();
    }
}

/// The signal that came, if one did.
pub fn caught() -> Option<u8> {
    u8::try_from(CAUGHT.load(Relaxed))
        .ok()
        .filter(|number| *number != 0)
}

/// # Errors
///
/// After a signal.
pub fn check() -> Result<(), String> {
    match caught() {
        Some(_) => Err("interrupted".into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" {
        fn raise(number: c_int) -> c_int;
    }

    #[test]
    fn a_signal_is_put_off_and_an_ignored_one_stays_so() {
        set(SIGHUP, SIG_IGN);
        {
            let _signals = PutOff::begin();
            // SAFETY: none of these ends us: one is ignored, the others have a handler.
            let send = |number| unsafe { raise(number) };
            for (number, first) in [(SIGHUP, None), (SIGTERM, Some(15)), (SIGINT, Some(15))] {
                send(number);
                assert_eq!(caught(), first);
            }
        }
        assert_eq!(set(SIGTERM, SIG_DFL), SIG_DFL);
        assert_eq!(set(SIGHUP, SIG_DFL), SIG_IGN);
    }
}
