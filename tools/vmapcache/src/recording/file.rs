// SPDX-License-Identifier: GPL-2.0

//! The file of a recording.
//!
//! A line of text that names the format and its version, then one zstd frame with a checksum. In it: the
//! [`Head`] as a line of JSON, then the requests, in the order of time. Each is a few numbers, as LEB128:
//!
//! - the nanoseconds since the one before;
//! - 2 * CPU + 1 if it is a free;
//! - of an allocation: pages, shift of the alignment, range, caller;
//! - of a free: how many allocations ago its own was, 1 being the last one; 0: before the recording.

use super::{Alloc, Head, Recording, Request, What, MOST_REQUESTS};
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

/// The version follows.
const MAGIC: &str = "vmapcache recording, format ";
const VERSION: u32 = 1;

/// zstd's own default.
const LEVEL: i32 = 3;

/// No request takes more.
const MOST_BYTES: usize = 10 + 5 + 5 + 2 + 2 + 5;
/// Room for names of callers and for CPUs.
const MOST_HEAD: u64 = 16 << 20;

fn number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a recording.
pub fn write(recording: &Recording, mut out: impl Write) -> io::Result<()> {
    writeln!(out, "{MAGIC}{VERSION}")?;
    let mut frame = zstd::Encoder::new(out, LEVEL)?;
    frame.include_checksum(true)?;
    let mut frame = BufWriter::with_capacity(1 << 16, frame);
    serde_json::to_writer(&mut frame, &recording.head)?;
    frame.write_all(b"\n")?;
    let (mut allocations, mut last) = (0u64, 0);
    let mut bytes = Vec::with_capacity(MOST_BYTES);
    for request in &recording.requests {
        bytes.clear();
        number(&mut bytes, request.time.saturating_sub(last));
        last = request.time;
        let cpu = u64::from(request.cpu) * 2;
        match request.what {
            What::Alloc(alloc) => {
                allocations += 1;
                number(&mut bytes, cpu);
                number(&mut bytes, alloc.pages.into());
                number(&mut bytes, alloc.align_shift.into());
                number(&mut bytes, alloc.range.into());
                number(&mut bytes, alloc.caller.into());
            }
            What::Free(of) => {
                number(&mut bytes, cpu + 1);
                let back = of.map_or(0, |of| allocations.saturating_sub(of.into()));
                number(&mut bytes, back);
            }
        }
        frame.write_all(&bytes)?;
    }
    let frame = frame.into_inner().map_err(|e| e.into_error())?;
    frame.finish()?.flush()
}

/// Something like /dev/stdout cannot be replaced, and is written as it is.
fn is_special(path: &Path) -> bool {
    path.exists() && !path.is_file()
}

/// Where a recording is written before it gets its name.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Fails if a recording cannot be written there: better now than when it is made.
pub fn may_save(path: &Path) -> Result<(), String> {
    let say = |e: io::Error| format!("{}: {e}", path.display());
    if path.is_dir() {
        return Err(format!("{}: is a folder", path.display()));
    }
    if is_special(path) {
        // To open a pipe, and to close it again, would end its reader.
        return Ok(());
    }
    let unfinished = unfinished(path);
    File::create(&unfinished).map_err(say)?;
    fs::remove_file(&unfinished).map_err(say)
}

/// Writes a recording into a file: a reader sees the old file or the new one.
pub fn save(path: &Path, recording: &Recording) -> Result<u64, String> {
    let say = |e: io::Error| format!("{}: {e}", path.display());
    if is_special(path) {
        let file = File::create(path).map_err(say)?;
        write(recording, file).map_err(say)?;
        return Ok(0);
    }
    let unfinished = unfinished(path);
    let written = File::create(&unfinished).and_then(|file| {
        write(recording, &file)?;
        fs::rename(&unfinished, path)?;
        Ok(file.metadata()?.len())
    });
    written.map_err(|e| {
        let _ = fs::remove_file(&unfinished);
        say(e)
    })
}

/// What is wrong with a file.
fn cut_off() -> String {
    "the recording is cut off".into()
}

fn broken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => cut_off(),
        _ => format!("the recording is damaged: {error}"),
    }
}

struct Numbers<R>(R);

impl<R: BufRead> Numbers<R> {
    fn next(&mut self) -> Result<u64, String> {
        let mut sum = 0u64;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.0.read_exact(&mut byte).map_err(|e| broken(&e))?;
            let bits = u64::from(byte[0] & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            sum |= bits << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(sum);
            }
        }
        Err("a number is too large".into())
    }

    /// One that fits and is below `end`.
    fn below<T: TryFrom<u64>>(&mut self, what: &str, end: u64) -> Result<T, String> {
        let number = self.next()?;
        let fits = (number < end).then(|| number.try_into().ok()).flatten();
        fits.ok_or_else(|| format!("{what} {number} is not below {end}"))
    }
}

/// Fails unless this file may be a recording of this version.
fn version(input: &mut impl BufRead) -> Result<(), String> {
    let mut line = Vec::new();
    let most = MAGIC.len() as u64 + 12;
    let read = input.take(most).read_until(b'\n', &mut line);
    read.map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&line);
    let Some(version) = text.strip_prefix(MAGIC) else {
        return Err(match MAGIC.starts_with(&*text) {
            true if !text.is_empty() => cut_off(),
            _ => "this is no recording of vmapcache".into(),
        });
    };
    match version.strip_suffix('\n').map(str::parse::<u32>) {
        None => Err(cut_off()),
        Some(Ok(VERSION)) => Ok(()),
        Some(Ok(other)) => Err(format!(
            "this recording has format {other}, and this program reads format {VERSION}: \
             record it again, or take the program that recorded it"
        )),
        Some(Err(_)) => Err("this is no recording of vmapcache".into()),
    }
}

/// Reads a recording.
///
/// # Errors
///
/// A line that says what is wrong with it.
pub fn read(input: impl Read) -> Result<Recording, String> {
    let mut input = BufReader::new(input);
    version(&mut input)?;
    // One frame: what follows it is no recording.
    let frame = zstd::Decoder::with_buffer(input).map_err(|e| broken(&e))?;
    let mut frame = BufReader::with_capacity(1 << 16, frame.single_frame());
    let mut head = Vec::new();
    let read = frame.by_ref().take(MOST_HEAD).read_until(b'\n', &mut head);
    read.map_err(|e| broken(&e))?;
    if head.pop() != Some(b'\n') {
        return Err(cut_off());
    }
    let head: Head =
        serde_json::from_slice(&head).map_err(|e| format!("the recording has a bad head: {e}"))?;
    if head.requests > MOST_REQUESTS as u64 {
        return Err(format!(
            "{} requests are more than {MOST_REQUESTS}",
            head.requests
        ));
    }
    if !head.page_bytes.is_power_of_two() || !(4096..=1 << 20).contains(&head.page_bytes) {
        return Err(format!("pages of {} bytes", head.page_bytes));
    }
    let mut numbers = Numbers(frame);
    let mut requests = Vec::new();
    let (mut allocations, mut time) = (0u64, 0u64);
    let mut freed: Vec<bool> = Vec::new();
    for n in 0..head.requests {
        let request = one(&mut numbers, &head, time, &mut allocations, &mut freed)
            .map_err(|e| format!("request {n}: {e}"))?;
        time = request.time;
        requests.push(request);
    }
    // The end of the frame has its checksum.
    let mut more = [0];
    match numbers.0.read(&mut more) {
        Ok(0) => {}
        Ok(_) => return Err("the recording has more than its head says".into()),
        Err(e) => return Err(broken(&e)),
    }
    let mut input = numbers.0.into_inner().finish();
    match input.read(&mut more) {
        Ok(0) => Ok(Recording { head, requests }),
        Ok(_) => Err("something follows the recording".into()),
        Err(e) => Err(e.to_string()),
    }
}

fn one<R: BufRead>(
    numbers: &mut Numbers<R>,
    head: &Head,
    before: u64,
    allocations: &mut u64,
    freed: &mut Vec<bool>,
) -> Result<Request, String> {
    let time = before.checked_add(numbers.next()?).ok_or("no such time")?;
    let word: u64 = numbers.below("CPU", u64::from(u16::MAX) * 2)?;
    let cpu = (word / 2) as u16;
    if u32::from(cpu) >= head.cpus {
        return Err(format!("CPU {cpu} of {}", head.cpus));
    }
    let what = if word % 2 == 0 {
        *allocations += 1;
        freed.push(false);
        let pages: u32 = numbers.below("a size of", 1 << 32)?;
        if pages == 0 {
            return Err("no page".into());
        }
        What::Alloc(Alloc {
            pages,
            align_shift: numbers.below("alignment", 64)?,
            range: numbers.below("range", head.ranges.len() as u64)?,
            caller: numbers.below("caller", head.callers.len() as u64)?,
        })
    } else {
        let back: u64 = numbers.below("allocation", *allocations + 1)?;
        let of = (back > 0).then(|| *allocations - back);
        if let Some(freed) = of.and_then(|of| freed.get_mut(of as usize)) {
            if std::mem::replace(freed, true) {
                return Err("frees what is freed".into());
            }
        }
        What::Free(of.map(|of| of as u32))
    };
    Ok(Request { time, cpu, what })
}

/// Reads the recording in a file.
pub fn load(path: &Path) -> Result<Recording, String> {
    let say = |e: String| format!("{}: {e}", path.display());
    let file = File::open(path).map_err(|e| say(e.to_string()))?;
    read(file).map_err(say)
}
