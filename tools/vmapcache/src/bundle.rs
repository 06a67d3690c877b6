// SPDX-License-Identifier: GPL-2.0

//! `bundle`: what a report of a fault needs, in one archive. Addresses in it are replaced by words that tell
//! them apart, and say nothing else.

use crate::{
    doctor::{self, Run},
    output,
};
use flate2::{write::GzEncoder, Compression};
use std::{
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

#[derive(clap::Args)]
pub struct Options {
    /// Where the archive goes
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "vmapcache-bundle.tar.gz"
    )]
    out: PathBuf,
    /// Replaces an archive that is there already
    #[arg(long)]
    force: bool,
    /// The whole kernel log, not only what is about vmapcache or a fault: it may name devices, disks and networks
    #[arg(long)]
    whole_log: bool,
    /// Keeps addresses as they are: then the archive tells where the kernel is in memory
    #[arg(long)]
    addresses: bool,
}

/// The folder in the archive.
const NAME: &str = "vmapcache-bundle";

/// Files of the machine: the name in the archive, and the path.
const MACHINE: [(&str, &str); 8] = [
    ("machine/version", "/proc/version"),
    ("machine/meminfo", "/proc/meminfo"),
    ("machine/cpus-online", "/sys/devices/system/cpu/online"),
    ("machine/cpus-possible", "/sys/devices/system/cpu/possible"),
    ("machine/nodes-online", "/sys/devices/system/node/online"),
    ("machine/tainted", "/proc/sys/kernel/tainted"),
    ("machine/modules", "/proc/modules"),
    ("areas", "/proc/vmapcacheinfo"),
];

/// Files of the module. In debugfs, the laboratory and what can only be written are left out.
const FOLDERS: [(&str, &str); 3] = [
    ("module", "/sys/module/vmapcache"),
    ("module-bench", "/sys/module/vmapcache_bench"),
    ("debugfs", "/sys/kernel/debug/vmapcache"),
];
const LEFT_OUT: [&str; 6] = ["bench", "purge", "drain", "sections", "notes", "uevent"];

/// Words of the kernel's command line that say how it allocates, checks or schedules. Others may name the
/// owner's disks.
const WORDS: [&str; 20] = [
    "debug_pagealloc",
    "hugepages",
    "init_on_alloc",
    "init_on_free",
    "isolcpus",
    "kasan",
    "lockdown",
    "maxcpus",
    "mitigations",
    "module",
    "nohz_full",
    "nokaslr",
    "nopti",
    "nr_cpus",
    "numa",
    "page_owner",
    "possible_cpus",
    "preempt",
    "slab_debug",
    "vmapcache",
];

/// Lines of the kernel log behind which comes a report.
const FAULTS: [&str; 8] = [
    "BUG:",
    "WARNING:",
    "INFO: task",
    "Oops",
    "general protection",
    "rcu:",
    "possible recursive",
    "hogged CPU",
];
/// Lines of a report, at most.
const REPORT: usize = 100;

/// Bytes of one file, at most: some 100,000 areas.
const MOST: u64 = 8 << 20;

/// Replaces addresses. Of the same page it always makes the same word, but in another archive another one.
struct Disguise(Option<RandomState>);

impl Disguise {
    fn word(&self, word: &str) -> Option<String> {
        let Disguise(Some(key)) = self else {
            return None;
        };
        let digits = word.strip_prefix("0x").unwrap_or(word);
        let marked = digits.len() < word.len();
        // Addresses have 16 digits, or are marked: a sum in bytes is neither. A kernel's begins with ff, a user's
        // with zeros; and what the kernel has disguised itself is below 2^40.
        if !(digits.len() == 16 || marked && (10..16).contains(&digits.len())) {
            return None;
        }
        let address = u64::from_str_radix(digits, 16).ok()?;
        let known = digits.starts_with("ff") || digits.starts_with("0000") || marked;
        if !known || address < 1 << 40 {
            return None;
        }
        let page = key.hash_one(address >> 12) as u32;
        Some(format!("@{page:08x}.{:03x}", address & 0xfff))
    }

    fn text(&self, text: &str) -> String {
        let mut disguised = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            match self.word(word) {
                Some(other) => disguised += &other,
                None => disguised += word,
            }
            let gap = after.find(is_word).unwrap_or(after.len());
            disguised += &after[..gap];
            rest = &after[gap..];
        }
        disguised
    }
}

/// The files that this program has read, each by its name in the archive, and those that it could not read.
#[derive(Default)]
struct Bundle {
    files: Vec<(String, String)>,
    missing: Vec<String>,
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if bytes.len() as u64 == MOST {
        text += "\n[cut here]\n";
    }
    Ok(text)
}

/// Of a kernel log, what is about vmapcache or a fault.
fn about_faults(log: &str) -> String {
    let mut left = 0;
    let mut text = String::new();
    for line in log.lines() {
        if FAULTS.iter().any(|words| line.contains(words)) {
            left = REPORT;
        }
        if left > 0 || line.contains("vmapcache") {
            text += line;
            text.push('\n');
        }
        left = left.saturating_sub(1);
    }
    text
}

impl Bundle {
    fn add(&mut self, name: &str, root: &Path, path: &str) {
        match read(&root.join(path.trim_start_matches('/'))) {
            Ok(text) => self.files.push((name.into(), text)),
            Err(e) => self.missing.push(format!("{path}: {e}")),
        }
    }

    /// All files below a folder.
    fn add_folder(&mut self, name: &str, root: &Path, path: &str) {
        let entries = match fs::read_dir(root.join(path.trim_start_matches('/'))) {
            Ok(entries) => entries,
            Err(e) => return self.missing.push(format!("{path}: {e}")),
        };
        let mut names: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                Some((
                    entry.file_name().into_string().ok()?,
                    entry.file_type().ok()?,
                ))
            })
            .filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()))
            .collect();
        names.sort_by(|one, other| one.0.cmp(&other.0));
        for (entry, kind) in names {
            let (name, path) = (format!("{name}/{entry}"), format!("{path}/{entry}"));
            if kind.is_dir() {
                self.add_folder(&name, root, &path);
            } else if kind.is_file() {
                self.add(&name, root, &path);
            }
        }
    }

    fn of_machine(root: &Path, run: Run, whole_log: bool) -> Bundle {
        let mut bundle = Bundle::default();
        for (name, path) in MACHINE {
            bundle.add(name, root, path);
        }
        for (name, path) in FOLDERS {
            bundle.add_folder(name, root, path);
        }
        match read(&root.join("proc/cmdline")) {
            Ok(line) => {
                let kept = line.split_whitespace().filter(|word| {
                    let key = word.split(['=', '.']).next().unwrap_or("");
                    WORDS.contains(&key)
                });
                let words = kept.collect::<Vec<_>>().join(" ") + "\n";
                bundle.files.push(("machine/cmdline".into(), words));
            }
            Err(e) => bundle.missing.push(format!("/proc/cmdline: {e}")),
        }
        match run("dmesg", &[]) {
            Some(log) if whole_log => bundle.files.push(("log".into(), log)),
            Some(log) => bundle.files.push(("log".into(), about_faults(&log))),
            None => bundle
                .missing
                .push("the kernel log: dmesg does not show it to this user".into()),
        }
        let (doctor, options) = doctor::of_machine(root, run);
        bundle.files.push(("doctor".into(), doctor));
        match options {
            Some(options) => bundle.files.push(("config".into(), options)),
            None => bundle
                .missing
                .push("the kernel's configuration: it is in no known place".into()),
        }
        bundle
    }

    /// The text of the archive's README: it explains the words for addresses, and names missing files.
    fn introduction(&self, addresses: bool) -> String {
        let mut text = format!("Made by vmapcache {}", crate::VERSION);
        text += if addresses {
            "Addresses are as they were.\n"
        } else {
            "Addresses are replaced: @PAGE.OFFSET, where the same page has the same word in all files.\n"
        };
        if !self.missing.is_empty() {
            text += "\nCould not be read:\n";
        }
        for line in &self.missing {
            text += &format!("  {line}\n");
        }
        text
    }

    fn write(&self, to: impl Write, disguise: &Disguise) -> io::Result<()> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.map_or(0, |time| time.as_secs());
        let mut archive = tar::Builder::new(GzEncoder::new(to, Compression::default()));
        let introduction = (
            "README".to_string(),
            self.introduction(disguise.0.is_none()),
        );
        for (name, text) in std::iter::once(&introduction).chain(&self.files) {
            let text = disguise.text(text);
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(now);
            archive.append_data(&mut header, format!("{NAME}/{name}"), text.as_bytes())?;
        }
        archive.into_inner()?.finish()?.flush()
    }
}

/// Writes a file as a whole or not at all.
fn save(options: &Options, bundle: &Bundle) -> io::Result<()> {
    let disguise = Disguise((!options.addresses).then(RandomState::new));
    output::replace(&options.out, |file| bundle.write(file, &disguise))
}

/// Makes the archive of this machine.
pub fn make(options: &Options) -> Result<bool, String> {
    let out = options.out.display();
    if !options.force && options.out.exists() {
        return Err(format!("{out} is there already (--force replaces it)"));
    }
    let bundle = Bundle::of_machine(Path::new("/"), &doctor::run, options.whole_log);
    save(options, &bundle).map_err(|e| format!("{out}: {e}"))?;
    println!("{out}: {} files", bundle.files.len() + 1);
    for line in &bundle.missing {
        println!("  not in it: {line}");
    }
    println!("Look at it before you send it: tar -xzf {out}");
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const LOG: &str = "[1] eth0: MAC 00:11:22:33:44:55\n[2] vmapcache: arena of 64 MiB reserved\n\
                       [3] BUG: unable to handle page fault for address: ffffc90000001008\n[4] RIP: 0010:x+0x1\n";

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let root = std::env::temp_dir()
                .join(format!("vmapcache-bundle-{}-{name}", std::process::id()));
            fs::create_dir_all(&root).unwrap();
            Folder(root)
        }

        fn put(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn loaded(name: &str) -> Folder {
            let folder = Folder::new(name);
            for (path, text) in [
                ("proc/version", "Linux version 7.3.4\n"),
                (
                    "proc/cmdline",
                    "root=UUID=secret quiet slab_debug=FZ init_on_free=1 vmapcache.arena_mb=64\n",
                ),
                (
                    "proc/vmapcacheinfo",
                    "0xffffc90000001000-0xffffc90000003000 8192 f+0x1/0x2\n",
                ),
                ("sys/module/vmapcache/version", "0.2\n"),
                ("sys/module/vmapcache/parameters/arena_mb", "64\n"),
                (
                    "sys/module/vmapcache/sections/.text",
                    "0xffffffffc0000000\n",
                ),
                (
                    "sys/kernel/debug/vmapcache/stats",
                    "areas 1\nbytes_live 123456789012\n",
                ),
                ("sys/kernel/debug/vmapcache/takeover/enable", "off\n"),
                ("sys/kernel/debug/vmapcache/bench/run", "laboratory\n"),
            ] {
                folder.put(path, text);
            }
            folder
        }

        fn bundle(&self, whole_log: bool) -> Bundle {
            let run = |program: &str, _: &[&str]| (program == "dmesg").then(|| LOG.to_string());
            Bundle::of_machine(&self.0, &run, whole_log)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn disguise() -> Disguise {
        Disguise(Some(RandomState::new()))
    }

    /// The files of an archive.
    fn unpack(bytes: &[u8]) -> BTreeMap<String, String> {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (
                name.strip_prefix("vmapcache-bundle/").unwrap().to_string(),
                text,
            )
        });
        entries.collect()
    }

    #[test]
    fn addresses_are_disguised_and_nothing_else() {
        let disguise = disguise();
        let text = disguise.text("at ffffc90000001008, 0xffffc90000001010-0xffffc90000002000.");
        let words: Vec<_> = text
            .split([' ', ',', '-'])
            .filter(|word| word.starts_with('@'))
            .collect();
        let [one, other, next] = words[..] else {
            panic!("{text}");
        };
        assert_eq!(
            (&one[9..], &other[9..], &next[9..]),
            (".008", ".010", ".000.")
        );
        assert_eq!(one[..9], other[..9]);
        assert_ne!(one[..9], next[..9]);
        assert!(
            text.starts_with("at @") && text.ends_with('.') && !text.contains("ffffc9"),
            "{text}"
        );
        assert_ne!(
            disguise.text("ffffc90000001008"),
            self::disguise().text("ffffc90000001008")
        );
        for (hidden, word) in [
            (true, "00007f1234567890"),
            (true, "0xffff888012345678"),
            (true, "0x7f1234567890"),
            (false, "1234567890123456"),
            (false, "123456789012"),
            (false, "00000000abcd1234"),
            (false, "0x1000"),
            (false, "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"),
            (false, "ffff_named"),
        ] {
            assert_eq!(disguise.text(word) != word, hidden, "{word}");
        }
        assert_eq!(Disguise(None).text("ffffc90000001008"), "ffffc90000001008");
    }

    #[test]
    fn what_was_gathered_comes_out_of_the_archive() {
        let folder = Folder::loaded("whole");
        let bundle = folder.bundle(false);
        let mut bytes = Vec::new();
        bundle.write(&mut bytes, &disguise()).unwrap();
        let files = unpack(&bytes);
        for (name, text) in [
            ("machine/version", "Linux version 7.3.4\n"),
            (
                "machine/cmdline",
                "slab_debug=FZ init_on_free=1 vmapcache.arena_mb=64\n",
            ),
            ("module/parameters/arena_mb", "64\n"),
            ("debugfs/stats", "areas 1\nbytes_live 123456789012\n"),
            ("debugfs/takeover/enable", "off\n"),
        ] {
            assert_eq!(files.get(name).map(String::as_str), Some(text), "{name}");
        }
        assert!(files["doctor"].contains("to load them:"));
        assert!(files["areas"].ends_with(" 8192 f+0x1/0x2\n"));
        for (name, text) in &files {
            assert!(
                !text.contains("ffffc9") && !text.contains("secret"),
                "{name}: {text}"
            );
            assert!(
                !name.contains("bench") && !name.contains("sections"),
                "{name}"
            );
        }
        // The machine has no such files.
        assert!(
            files["README"].contains("  /proc/meminfo: "),
            "{}",
            files["README"]
        );
    }

    #[test]
    fn the_log_is_about_vmapcache_and_faults() {
        let folder = Folder::loaded("log");
        let log = |whole| {
            folder
                .bundle(whole)
                .files
                .into_iter()
                .find(|(name, _)| name == "log")
                .unwrap()
                .1
        };
        assert_eq!(log(true), LOG);
        assert_eq!(log(false), LOG.split_once('\n').unwrap().1);
        let long = "BUG: x\n".to_string() + &"more\n".repeat(300) + "vmapcache: y\n";
        assert_eq!(about_faults(&long).lines().count(), REPORT + 1);
    }

    #[test]
    fn without_the_module_there_is_still_an_archive() {
        let folder = Folder::new("bare");
        let bundle = folder.bundle(false);
        assert!(bundle.files.iter().any(|(name, _)| name == "doctor"));
        assert!(bundle
            .missing
            .iter()
            .any(|line| line.starts_with("/sys/module/vmapcache: ")));
    }

    #[test]
    fn an_archive_is_written_whole_or_not_at_all() {
        let folder = Folder::loaded("save");
        let bundle = folder.bundle(false);
        let options = |out: &str, force| Options {
            out: folder.0.join(out),
            force,
            whole_log: false,
            addresses: false,
        };
        save(&options("a.tar.gz", false), &bundle).unwrap();
        assert!(unpack(&fs::read(folder.0.join("a.tar.gz")).unwrap()).len() > 8);
        let refused = make(&options("a.tar.gz", false)).unwrap_err();
        assert!(
            refused.ends_with("is there already (--force replaces it)"),
            "{refused}"
        );
        assert!(save(&options("none/a.tar.gz", false), &bundle).is_err());
        // A folder is in the way of the new name: nothing stays beside it.
        fs::create_dir_all(folder.0.join("b.tar.gz/x")).unwrap();
        assert!(save(&options("b.tar.gz", true), &bundle).is_err());
        assert!(!folder.0.join("b.tar.gz.new").exists());
    }

    #[test]
    fn a_long_file_is_cut() {
        let folder = Folder::new("long");
        folder.put("long", &"x".repeat(MOST as usize + 5));
        let text = read(&folder.0.join("long")).unwrap();
        assert!(text.ends_with("x\n[cut here]\n") && text.len() < MOST as usize + 20);
    }
}
