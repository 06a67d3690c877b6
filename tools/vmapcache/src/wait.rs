// SPDX-License-Identifier: GPL-2.0

//! Waits for something to read, sees if whoever reads our own output has gone, and wakes before others.

use crate::signals;
use std::{
    ffi::{c_int, c_short, c_ulong},
    fs::File,
    io::{self, ErrorKind, Write},
    os::fd::AsRawFd,
    time::Duration,
};

#[repr(C)]
struct Polled {
    fd: c_int,
    events: c_short,
    seen: c_short,
}

const IN: c_short = 1;
const OUT: c_short = 4;
/// An error, as of a pipe that nobody reads, or an end, as of a socket.
const GONE: c_short = 8 | 16;

extern "C" {
    fn poll(polled: *mut Polled, number: c_ulong, milliseconds: c_int) -> c_int;
    fn setpriority(which: c_int, who: u32, nice: c_int) -> c_int;
}

/// Gets this program a CPU before most others: events that it does not read in time are lost.
pub fn hurry() {
    const PROCESS: c_int = 0;
    // SAFETY: Changes this process's own priority; if that is not allowed, nothing.
    unsafe { setpriority(PROCESS, 0, -19) };
}

#[derive(Debug, PartialEq)]
pub enum Waited {
    /// There may be something to read, or time is up, or a signal came.
    Look,
    /// Nobody reads our output any more.
    Alone,
}

/// Waits for any of these. After a signal, nothing has been seen.
fn wait(polled: &mut [Polled], most: Duration) -> io::Result<()> {
    let milliseconds = c_int::try_from(most.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: `polled` has as many entries of the kernel's `struct pollfd`, and outlives the call.
    let found = unsafe { poll(polled.as_mut_ptr(), polled.len() as c_ulong, milliseconds) };
    if found >= 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.kind() {
        ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

/// Waits for any of `files`, for `most` at most; a signal ends the wait.
pub fn until(files: &[File], most: Duration) -> io::Result<Waited> {
    until_or(files, io::stdout().as_raw_fd(), most)
}

fn until_or(files: &[File], out: c_int, most: Duration) -> io::Result<Waited> {
    let of = |fd, events| Polled {
        fd,
        events,
        seen: 0,
    };
    // That is reported whether asked for or not.
    let mut polled = vec![of(out, 0)];
    polled.extend(files.iter().map(|file| of(file.as_raw_fd(), IN)));
    wait(&mut polled, most)?;
    let gone = polled.first().is_some_and(|out| out.seen & GONE != 0);
    Ok(match gone {
        false => Waited::Look,
        true => Waited::Alone,
    })
}

/// Output whose reader may sleep: a signal ends the wait for it.
pub struct Patient(pub File);

/// So much goes into a pipe that has any room.
const PIPE_BUF: usize = 4096;

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut polled = [Polled {
                fd: self.0.as_raw_fd(),
                events: OUT,
                seen: 0,
            }];
            wait(&mut polled, Duration::from_millis(200))?;
            if polled[0].seen != 0 {
                return self.0.write(&bytes[..bytes.len().min(PIPE_BUF)]);
            }
            if signals::caught().is_some() {
                return Err(ErrorKind::BrokenPipe.into());
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        os::{fd::OwnedFd, unix::net::UnixStream},
        time::Instant,
    };

    #[test]
    fn a_reader_that_goes_is_noticed_at_once() {
        let (input, _writer) = UnixStream::pair().unwrap();
        let input = [File::from(OwnedFd::from(input))];
        let (reader, out) = UnixStream::pair().unwrap();
        let wait = |most| until_or(&input, out.as_raw_fd(), Duration::from_millis(most)).unwrap();
        assert_eq!(wait(10), Waited::Look);
        drop(reader);
        let before = Instant::now();
        assert_eq!(wait(60_000), Waited::Alone);
        assert!(before.elapsed() < Duration::from_secs(30));
    }
}
