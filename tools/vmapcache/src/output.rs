// SPDX-License-Identifier: GPL-2.0

//! What this program prints and writes, where there may be no room for it.
//!
//! The macros have the names of std's, which end the program with a panic if a line cannot be written: these
//! remember that, and `main` says it at the end, when modules are unloaded and terminals are as they were.

use std::{
    borrow::Cow,
    fmt,
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::Path,
    sync::OnceLock,
};

/// Why standard output takes nothing more.
static FULL: OnceLock<io::Error> = OnceLock::new();

pub fn print(words: fmt::Arguments) {
    if cfg!(test) {
        // Test programs keep what std prints for tests that fail.
        std::print!("{words}");
    } else if FULL.get().is_none() {
        if let Err(e) = io::stdout().write_fmt(words) {
            let _ = FULL.set(e);
        }
    }
}

/// Nobody can be told that standard error takes nothing.
pub fn complain(words: fmt::Arguments) {
    let _ = io::stderr().write_fmt(words);
}

macro_rules! print {
    ($($words:tt)*) => { $crate::output::print(format_args!($($words)*)) };
}

macro_rules! println {
    ($($words:tt)*) => { $crate::output::print(format_args!("{}\n", format_args!($($words)*))) };
}

macro_rules! eprint {
    ($($words:tt)*) => { $crate::output::complain(format_args!($($words)*)) };
}

macro_rules! eprintln {
    ($($words:tt)*) => { $crate::output::complain(format_args!("{}\n", format_args!($($words)*))) };
}

/// A text from outside, for people: control characters, which a terminal would obey, as Rust writes them.
pub fn plain(text: &str) -> Cow<'_, str> {
    // The second kind turns the direction of what follows.
    let obeyed = |c: char| {
        c.is_control() && c != '\t'
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(obeyed) {
        return text.into();
    }
    let mut plain = String::new();
    for c in text.chars() {
        match obeyed(c) {
            true => plain.extend(c.escape_default()),
            false => plain.push(c),
        }
    }
    plain.into()
}

/// The same for bytes, which keep their number: a question mark for each control character.
pub fn plain_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    let obeyed = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    match bytes.iter().any(obeyed) {
        false => bytes.into(),
        true => bytes
            .iter()
            .map(|byte| if obeyed(byte) { b'?' } else { *byte })
            .collect(),
    }
}

/// What went wrong with an output; a reader that goes is no error.
fn wrong(error: &io::Error) -> Result<(), String> {
    match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        _ => Err(format!("output: {error}")),
    }
}

/// # Errors
///
/// Standard output did not take all that was printed.
pub fn check() -> Result<(), String> {
    if let Some(error) = FULL.get() {
        return wrong(error);
    }
    io::stdout().flush().or_else(|e| wrong(&e))
}

/// Whether printing is of no use any more.
#[cfg_attr(not(feature = "top"), allow(dead_code))]
pub fn gone() -> bool {
    io::stdout().flush().is_err() || FULL.get().is_some()
}

/// Writes a file by rename: a reader sees the old file or the new one, and if there is no room, the old one stays. A
/// device or a pipe cannot be replaced, and is written to.
pub fn replace(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    if path.exists() && !path.is_file() {
        return fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|file| write(&file));
    }
    let mut new = path.to_owned().into_os_string();
    new.push(".new");
    let new = Path::new(&new);
    let made = File::create(new)?;
    let written = write(&made).and_then(|()| fs::rename(new, path));
    if written.is_err() {
        let _ = fs::remove_file(new);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_from_outside() {
        for (text, wanted) in [
            ("a\tb ä <&>", "a\tb ä <&>"),
            ("\u{1b}[2Jx\r\n", "\\u{1b}[2Jx\\r\\n"),
            (
                "\u{9b}31m\u{202e}\0\u{7f}",
                "\\u{9b}31m\\u{202e}\\u{0}\\u{7f}",
            ),
        ] {
            assert_eq!(plain(text), wanted);
        }
        assert_eq!(*plain_bytes(b"\x1b[2J\t\xc3\xa4\0"), *b"?[2J\t\xc3\xa4?");
    }

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("vmapcache-replace-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("file");
        let names = || {
            let all = fs::read_dir(&folder).unwrap().flatten();
            all.map(|entry| entry.file_name()).collect::<Vec<_>>()
        };
        replace(&path, |mut file| file.write_all(b"old")).unwrap();
        let full = replace(&path, |mut file| {
            file.write_all(b"half")?;
            Err(ErrorKind::StorageFull.into())
        });
        assert_eq!(full.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(), ["file"]);
        replace(&path, |mut file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(), ["file"]);
        let missing = replace(&folder.join("none/file"), |_| Ok(())).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_device_is_written_to_and_stays_one() {
        use std::os::unix::fs::FileTypeExt;
        let null = Path::new("/dev/null");
        replace(null, |mut file| file.write_all(b"text")).unwrap();
        assert!(fs::metadata(null).unwrap().file_type().is_char_device());
        let full = replace(Path::new("/dev/full"), |mut file| file.write_all(b"text"));
        assert_eq!(full.unwrap_err().kind(), ErrorKind::StorageFull);
        assert!(!Path::new("/dev/full.new").exists());
    }
}
