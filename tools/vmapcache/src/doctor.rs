// SPDX-License-Identifier: GPL-2.0

//! `doctor`: says why vmapcache does not build, load or show something on this machine, and how to mend that.

use clap::ValueEnum;
use std::{collections::BTreeMap, fmt, fs, path::PathBuf, process::Command};

/// The user wants to do this here.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Aim {
    /// Build the modules for this kernel
    Build,
    /// Load them
    Load,
    /// Look at what they show
    Watch,
}

impl Aim {
    const ALL: [Aim; 3] = [Aim::Build, Aim::Load, Aim::Watch];

    fn text(self) -> &'static str {
        match self {
            Aim::Build => "to build the modules",
            Aim::Load => "to load them",
            Aim::Watch => "to look at what they show",
        }
    }
}

#[derive(clap::Args)]
pub struct Options {
    /// Looks only at what these need (default: all of them)
    #[arg(value_enum)]
    aims: Vec<Aim>,
    /// The build folder of the kernel (default: /lib/modules/RELEASE/build)
    #[arg(long, value_name = "FOLDER")]
    kdir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Finding {
    Good,
    /// It works, but not all of it; or nobody can tell.
    Note,
    Bad,
}

/// The answer to one question.
#[derive(Debug)]
struct Answer {
    finding: Finding,
    about: &'static str,
    what: String,
    /// Tells the user how to mend it.
    advice: String,
}

fn good(about: &'static str, what: impl Into<String>) -> Answer {
    let (finding, what) = (Finding::Good, what.into());
    let advice = String::new();
    Answer {
        finding,
        about,
        what,
        advice,
    }
}

fn note(about: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Answer {
    Answer {
        finding: Finding::Note,
        advice: advice.into(),
        ..good(about, what)
    }
}

fn bad(about: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Answer {
    Answer {
        finding: Finding::Bad,
        ..note(about, what, advice)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.finding {
            Finding::Good => "ok",
            Finding::Note => "note",
            Finding::Bad => "BAD",
        };
        let indent = " ".repeat(8);
        // A path is shown whole.
        let options = textwrap::Options::new(79)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .break_words(false)
            .initial_indent("        ")
            .subsequent_indent(&indent);
        let text = textwrap::fill(&format!("{}: {}", self.about, self.what), options.clone());
        write!(f, "  {mark:<4}  {}", &text[8..])?;
        match self.advice.as_str() {
            "" => Ok(()),
            advice => write!(f, "\n{}", textwrap::fill(advice, options)),
        }
    }
}

/// The machine that is looked at. Tests make one of files.
struct Patient<'a> {
    root: PathBuf,
    run: Run<'a>,
    kdir: Option<PathBuf>,
    arch: &'a str,
}

/// Runs a program of this machine.
pub fn run(program: &str, words: &[&str]) -> Option<String> {
    let output = Command::new(program).args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(text)
}

type Config = BTreeMap<String, String>;

/// vmapcache cannot do without these functions; rust/pages/symbols.c says why.
const FUNCTIONS: [&str; 5] = [
    "kallsyms_lookup_name",
    "vmap_pages_range_noflush",
    "vunmap_range_noflush",
    "flush_tlb_kernel_range",
    "__get_vm_area_caller",
];

impl Patient<'_> {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn read(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.path(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim_end().to_string())
    }

    fn release(&self) -> String {
        self.read("/proc/sys/kernel/osrelease").unwrap_or_default()
    }

    fn kdir(&self) -> PathBuf {
        let usual = || self.path(&format!("/lib/modules/{}/build", self.release()));
        self.kdir.clone().unwrap_or_else(usual)
    }

    /// The kernel's options, and where they are from.
    fn config(&self) -> Option<(Config, String)> {
        let release = self.release();
        let folder = self.kdir().join(".config");
        let of_folder = || {
            Some((
                fs::read_to_string(&folder).ok()?,
                folder.display().to_string(),
            ))
        };
        let of_file = |path: String| Some((self.read(&path)?, path));
        let packed = || {
            let path = "/proc/config.gz";
            self.path(path).exists().then_some(())?;
            Some((
                (self.run)("zcat", &[&self.path(path).to_string_lossy()])?,
                path.into(),
            ))
        };
        let (text, from) = of_folder()
            .or_else(packed)
            .or_else(|| of_file(format!("/boot/config-{release}")))
            .or_else(|| of_file(format!("/lib/modules/{release}/config")))?;
        let lines = text.lines().filter(|line| line.starts_with("CONFIG_"));
        let pairs = lines.filter_map(|line| line.strip_prefix("CONFIG_")?.split_once('='));
        let pairs = pairs.map(|(name, value)| (name.into(), value.trim_matches('"').into()));
        Some((pairs.collect(), from))
    }

    // ---- to build ----

    fn machine(&self) -> Answer {
        match self.arch {
            "x86_64" | "aarch64" => good("machine", self.arch),
            other => bad(
                "machine",
                other,
                "vmapcache supports x86-64 and arm64 only.",
            ),
        }
    }

    /// Options without which nothing goes, and those that only take something away.
    fn options(&self, config: &Option<(Config, String)>) -> Vec<Answer> {
        let about = "kernel options";
        let Some((config, from)) = config else {
            let advice = "Install the kernel's headers, or name its build folder: --kdir.";
            return vec![note(
                about,
                "this kernel's configuration is in no known place",
                advice,
            )];
        };
        let lacking = |names: &[&'static str]| -> Vec<&str> {
            let off = |name: &&&str| config.get(**name).is_none_or(|value| value != "y");
            names.iter().filter(off).copied().collect()
        };
        let needed = ["MODULES", "RUST", "KPROBES", "KALLSYMS"];
        let mut answers = Vec::new();
        match lacking(&needed)[..] {
            [] => answers.push(good(
                about,
                format!("{} are on ({from})", needed.join(", ")),
            )),
            ref off => answers.push(bad(
                about,
                format!("CONFIG_{} not on ({from})", off.join(", CONFIG_")),
                "Take a kernel that has these: Debian's from 7.2 on have them. Or build one.",
            )),
        }
        for (names, without) in [
            (
                &[
                    "DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
                    "DYNAMIC_FTRACE_WITH_JMP",
                ][..],
                "no guards, and no takeover",
            ),
            (
                &["KALLSYMS_ALL"],
                "drivers that keep areas for later are not asked to free them",
            ),
            (&["DEBUG_FS"], "no info, callers and stats"),
            (&["TRACING"], "no events"),
        ] {
            let off = lacking(names);
            if !off.is_empty() {
                let what = format!("without CONFIG_{}: {without}", off.join(", CONFIG_"));
                answers.push(note(about, what, ""));
            }
        }
        answers
    }

    fn folder(&self) -> Answer {
        let (about, folder) = ("build folder", self.kdir());
        let shown = folder.display();
        if folder.join("rust/libkernel.rmeta").exists() {
            return good(about, format!("{shown} is prepared for Rust modules"));
        }
        // debian/dkms/prepare makes what Debian's headers lack, and keeps it here.
        let kept = self.path(&format!("/var/cache/vmapcache/{}/build", self.release()));
        if self.kdir.is_none() && folder.exists() && kept.join("rust/libkernel.rmeta").exists() {
            let what = format!("{} is prepared for Rust modules", kept.display());
            return good(about, format!("{what}, by vmapcache-dkms"));
        }
        let advice = "`make` in the tree of vmapcache prepares Debian's kernel in a sandbox and needs none of this. \
                      For another kernel: `make KDIR=FOLDER`, with a FOLDER after `make modules_prepare`.";
        if folder.exists() {
            bad(
                about,
                format!(
                    "{shown} has no rust/libkernel.rmeta: headers alone are not enough for Rust"
                ),
                advice,
            )
        } else {
            bad(
                about,
                format!("there is no {shown}: the kernel's headers are not installed"),
                advice,
            )
        }
    }

    /// A Rust module goes only with the very compilers that built the kernel.
    fn compilers(&self, config: &Option<(Config, String)>) -> Vec<Answer> {
        let Some((config, _)) = config else {
            return Vec::new();
        };
        let clang = config.get("CC_IS_CLANG").is_some_and(|value| value == "y");
        let first = |text: String| text.lines().next().unwrap_or("").trim().to_string();
        [
            ("Rust compiler", "RUSTC_VERSION_TEXT", "rustc"),
            (
                "C compiler",
                "CC_VERSION_TEXT",
                if clang { "clang" } else { "gcc" },
            ),
        ]
        .into_iter()
        .filter_map(|(about, option, program)| {
            let wanted = config.get(option).filter(|text| !text.is_empty())?;
            // "gcc-14 (Debian 14.2.0-19) 14.2.0": the program's own name comes first.
            let named = wanted
                .split(' ')
                .next()
                .filter(|word| word.contains(program));
            let program = named
                .and_then(|word| word.rsplit('/').next())
                .unwrap_or(program);
            let advice = "The sandbox of `make` has those that built Debian's kernel.";
            Some(match (self.run)(program, &["--version"]).map(first) {
                Some(have) if &have == wanted => good(about, have),
                Some(have) => {
                    let what = format!(
                        "the kernel was built with \"{wanted}\", this machine has \"{have}\""
                    );
                    bad(about, what, advice)
                }
                None => {
                    let what = format!(
                        "the kernel was built with \"{wanted}\", this machine has no {program}"
                    );
                    bad(about, what, advice)
                }
            })
        })
        .collect()
    }

    // ---- to load ----

    fn rights(&self) -> Answer {
        let status = self.read("/proc/self/status").unwrap_or_default();
        let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let capabilities =
            capabilities.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
        const SYS_MODULE: u64 = 1 << 16;
        match capabilities {
            Some(bits) if bits & SYS_MODULE != 0 => good("rights", "this user may load modules"),
            _ => note(
                "rights",
                "this user may not load modules",
                "Load them as root. In a container: on its host.",
            ),
        }
    }

    fn signatures(&self) -> Vec<Answer> {
        if !self.path("/proc/modules").exists() {
            return vec![bad(
                "modules",
                "this kernel takes no modules",
                "Take one with CONFIG_MODULES.",
            )];
        }
        let mut answers = Vec::new();
        let advice = "Sign the modules with a key that the kernel trusts (scripts/sign-file of the kernel tree, \
                      mokutil --import), or turn Secure Boot off in the firmware.";
        let lockdown = self
            .read("/sys/kernel/security/lockdown")
            .unwrap_or_default();
        let level = lockdown
            .split(['[', ']'])
            .nth(1)
            .unwrap_or("none")
            .to_string();
        let enforced = self.read("/sys/module/module/parameters/sig_enforce");
        if level != "none" {
            answers.push(bad(
                "lockdown",
                format!("the kernel is locked down ({level}) and takes signed modules only"),
                advice,
            ));
        } else if enforced.as_deref() == Some("Y") {
            answers.push(bad(
                "signatures",
                "the kernel takes signed modules only",
                advice,
            ));
        } else {
            answers.push(good("signatures", "the kernel takes unsigned modules"));
        }
        let variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
        let secure = fs::read(self.path(variable)).is_ok_and(|bytes| bytes.get(4) == Some(&1));
        if secure && answers.iter().all(|answer| answer.finding == Finding::Good) {
            answers.push(note(
                "Secure Boot",
                "it is on, but this kernel does not insist on signatures",
                "",
            ));
        }
        if self.read("/proc/sys/kernel/modules_disabled").as_deref() == Some("1") {
            let advice =
                "Only a new boot turns that off: see kernel.modules_disabled in /etc/sysctl.d.";
            answers.push(bad(
                "modules",
                "loading of modules is turned off until the next boot",
                advice,
            ));
        }
        answers
    }

    fn functions(&self) -> Answer {
        let about = "kernel functions";
        let Some(all) = self.read("/proc/kallsyms").filter(|text| !text.is_empty()) else {
            return bad(
                about,
                "there is no /proc/kallsyms",
                "The kernel needs CONFIG_KALLSYMS.",
            );
        };
        let mut missing = FUNCTIONS.to_vec();
        if self.arch == "aarch64" {
            // There it is a part of the headers.
            missing.retain(|function| *function != "flush_tlb_kernel_range");
        }
        for line in all.lines() {
            let name = line.split_ascii_whitespace().nth(2);
            missing.retain(|function| Some(*function) != name);
        }
        if missing.is_empty() {
            good(about, "those that vmapcache cannot do without are there")
        } else {
            let advice = "vmapcache does not know this kernel: please report it.";
            bad(
                about,
                format!("this kernel has no {}", missing.join(", ")),
                advice,
            )
        }
    }

    fn ftrace(&self) -> Answer {
        match self.read("/proc/sys/kernel/ftrace_enabled").as_deref() {
            Some("1") => good("ftrace", "on, as guards and takeover need it"),
            Some(_) => note(
                "ftrace",
                "turned off: no guards, and no takeover",
                "sysctl kernel.ftrace_enabled=1",
            ),
            None => note(
                "ftrace",
                "this kernel has none: no guards, and no takeover",
                "",
            ),
        }
    }

    fn room(&self, config: &Option<(Config, String)>) -> Answer {
        let about = "room for the arena";
        let text = self.read("/proc/meminfo").unwrap_or_default();
        let field = |key: &str| -> Option<u64> {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            line.trim().trim_end_matches("kB").trim_end().parse().ok()
        };
        let (Some(memory), Some(total)) = (field("MemTotal"), field("VmallocTotal")) else {
            return note(
                about,
                "/proc/meminfo does not say how much memory there is",
                "",
            );
        };
        let on = |name: &str| {
            config
                .as_ref()
                .is_some_and(|(all, _)| all.get(name).is_some_and(|v| v == "y"))
        };
        let most = if on("KASAN_VMALLOC") {
            1 << 20
        } else {
            64 << 20
        };
        // As default_arena_pages() in rust/pages/arena.c, in KiB.
        let arena = (memory * 4).next_power_of_two().clamp(64 << 10, most);
        let what = format!(
            "{} MiB by default, of {} GiB of address space",
            arena >> 10,
            total >> 20
        );
        if arena * 2 > total {
            note(
                about,
                what,
                "It may not fit. If not, choose a smaller one: insmod vmapcache.ko arena_mb=1024",
            )
        } else {
            good(about, what)
        }
    }

    fn loaded(&self) -> Option<Answer> {
        let version = self.read("/sys/module/vmapcache/version")?;
        let ours = crate::VERSION.trim_ascii_end();
        Some(if version == ours {
            good("module", format!("vmapcache {version} is loaded"))
        } else {
            note(
                "module",
                format!("vmapcache {version} is loaded, this program is of {ours}"),
                "",
            )
        })
    }

    // ---- to watch ----

    fn mounted(&self, kind: &str, at: &str, without: &str) -> Answer {
        let mounts = self.read("/proc/mounts").unwrap_or_default();
        let is = |line: &str| line.split(' ').nth(2) == Some(kind);
        let about = if kind == "debugfs" {
            "debugfs"
        } else {
            "tracefs"
        };
        if mounts.lines().any(is) {
            return good(about, "mounted");
        }
        note(
            about,
            format!("not mounted: no {without}"),
            format!("mount -t {kind} none {at}"),
        )
    }

    fn examine(&self, aims: &[Aim]) -> Vec<(Aim, Vec<Answer>)> {
        let config = self.config();
        let answers = |aim: Aim| match aim {
            Aim::Build => {
                let mut all = vec![self.machine()];
                all.extend(self.options(&config));
                all.push(self.folder());
                all.extend(self.compilers(&config));
                all
            }
            Aim::Load => {
                let mut all = vec![self.rights()];
                all.extend(self.signatures());
                all.extend([self.functions(), self.ftrace(), self.room(&config)]);
                all.extend(self.loaded());
                all
            }
            Aim::Watch => vec![
                self.mounted("debugfs", "/sys/kernel/debug", "info, callers and stats"),
                self.mounted("tracefs", "/sys/kernel/tracing", "events"),
            ],
        };
        aims.iter().map(|aim| (*aim, answers(*aim))).collect()
    }
}

impl Patient<'_> {
    /// What it finds, as text, and how many things stand in the way.
    fn text(&self, aims: &[Aim]) -> (String, usize) {
        let mut text = format!("Linux {}\n", self.release());
        let mut wrong = 0;
        for (aim, answers) in self.examine(aims) {
            text += &format!("\n{}:\n", aim.text());
            for answer in &answers {
                text += &format!("{answer}\n");
                wrong += usize::from(answer.finding == Finding::Bad);
            }
        }
        text += &match wrong {
            0 => "\nNothing stands in the way.\n".to_string(),
            1 => "\nOne thing stands in the way.\n".to_string(),
            n => format!("\n{n} things stand in the way.\n"),
        };
        (text, wrong)
    }
}

/// Prints what it finds. False if anything stands in the way.
pub fn report(options: &Options) -> Result<bool, String> {
    let patient = Patient {
        root: "/".into(),
        run: &run,
        kdir: options.kdir.clone(),
        arch: std::env::consts::ARCH,
    };
    let aims = match &options.aims[..] {
        [] => &Aim::ALL,
        some => some,
    };
    let (text, wrong) = patient.text(aims);
    print!("{text}");
    Ok(wrong == 0)
}

/// The output of a program, if it runs.
pub type Run<'a> = &'a dyn Fn(&str, &[&str]) -> Option<String>;

/// What `doctor` says of the machine at `root`, and the options of its kernel, one in a line.
#[cfg(feature = "bundle")]
pub fn of_machine(root: &std::path::Path, run: Run) -> (String, Option<String>) {
    let patient = Patient {
        root: root.into(),
        run,
        kdir: None,
        arch: std::env::consts::ARCH,
    };
    let options = patient.config().map(|(config, from)| {
        let lines = config
            .iter()
            .map(|(name, value)| format!("CONFIG_{name}={value}\n"));
        format!("# {from}\n{}", lines.collect::<String>())
    });
    (patient.text(&Aim::ALL).0, options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{counters, tests::STATS};

    const RELEASE: &str = "7.3.4-test";
    const RUSTC: &str = "rustc 1.85.1 (4eb161250 2025-03-15)";

    /// A folder that looks like a machine.
    struct Folder(PathBuf);

    impl Folder {
        fn put(&self, path: &str, text: impl AsRef<[u8]>) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn remove(&self, path: &str) {
            fs::remove_file(self.0.join(path)).unwrap();
        }

        /// Nothing stands in the way there.
        fn healthy(name: &str) -> Folder {
            let root = std::env::temp_dir()
                .join(format!("vmapcache-doctor-{}-{name}", std::process::id()));
            let folder = Folder(root);
            let config = format!(
                "# Linux\nCONFIG_MODULES=y\nCONFIG_RUST=y\nCONFIG_KPROBES=y\nCONFIG_KALLSYMS=y\nCONFIG_KALLSYMS_ALL=y\n\
                 CONFIG_DEBUG_FS=y\nCONFIG_TRACING=y\nCONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y\n\
                 CONFIG_DYNAMIC_FTRACE_WITH_JMP=y\nCONFIG_RUSTC_VERSION_TEXT=\"{RUSTC}\"\n\
                 CONFIG_CC_VERSION_TEXT=\"gcc-14 (Debian 14.2.0-19) 14.2.0\"\n# CONFIG_KASAN is not set\n"
            );
            let mut symbols = "0000000000000000 T other\t[module]\n".to_string();
            for function in FUNCTIONS {
                symbols += &format!("0000000000000000 T {function}\n");
            }
            let build = format!("lib/modules/{RELEASE}/build");
            folder.put(&format!("{build}/.config"), config);
            folder.put(&format!("{build}/rust/libkernel.rmeta"), "");
            for (path, text) in [
                ("proc/sys/kernel/osrelease", &*format!("{RELEASE}\n")),
                ("proc/sys/kernel/modules_disabled", "0\n"),
                ("proc/sys/kernel/ftrace_enabled", "1\n"),
                ("proc/modules", ""),
                ("proc/kallsyms", &symbols),
                ("proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n"),
                (
                    "proc/meminfo",
                    "MemTotal:        1993452 kB\nVmallocTotal:   34359738367 kB\n",
                ),
                (
                    "sys/kernel/security/lockdown",
                    "[none] integrity confidentiality\n",
                ),
                (
                    "proc/mounts",
                    "none /sys/kernel/debug debugfs rw 0 0\nt /sys/kernel/tracing tracefs rw 0 0\n",
                ),
            ] {
                folder.put(path, text);
            }
            folder
        }

        /// All answers that are not good.
        fn complaints(&self) -> Vec<String> {
            let run = |program: &str, _: &[&str]| match program {
                "rustc" => Some(format!("{RUSTC}\nmore\n")),
                "gcc-14" => Some("gcc-14 (Debian 14.2.0-19) 14.2.0\nCopyright\n".into()),
                _ => None,
            };
            let patient = Patient {
                root: self.0.clone(),
                run: &run,
                kdir: None,
                arch: "x86_64",
            };
            let answers = patient
                .examine(&Aim::ALL)
                .into_iter()
                .flat_map(|(_, answers)| answers);
            answers
                .filter(|a| a.finding != Finding::Good)
                .map(|a| format!("{:?} {}: {}", a.finding, a.about, a.what))
                .collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_healthy_machine_has_no_complaint() {
        assert_eq!(Folder::healthy("healthy").complaints(), [""; 0]);
    }

    #[test]
    fn each_fault_is_named() {
        let build = format!("lib/modules/{RELEASE}/build");
        let (config, rmeta) = (
            format!("{build}/.config"),
            format!("{build}/rust/libkernel.rmeta"),
        );
        let change = |from: &'static str, to: &'static str| {
            let config = config.clone();
            move |f: &Folder| {
                let text = fs::read_to_string(f.0.join(&config)).unwrap();
                assert!(text.contains(from));
                f.put(&config, text.replace(from, to));
            }
        };
        type Harm<'a> = Box<dyn Fn(&Folder) + 'a>;
        let harms: Vec<(Harm, &str)> = vec![
            (Box::new(change("CONFIG_RUST=y", "# CONFIG_RUST is not set")), "Bad kernel options: CONFIG_RUST not on ("),
            (Box::new(change("CONFIG_KPROBES=y\nCONFIG_KALLSYMS=y", "")), "Bad kernel options: CONFIG_KPROBES, CONFIG_KALLSYMS not on ("),
            (Box::new(change("CONFIG_DYNAMIC_FTRACE_WITH_JMP=y\n", "")), "Note kernel options: without CONFIG_DYNAMIC_FTRACE_WITH_JMP: no guards"),
            (Box::new(change("rustc 1.85.1", "rustc 1.97.1")), "Bad Rust compiler: the kernel was built with \"rustc 1.97.1"),
            (Box::new(change("gcc-14 (", "gcc-15 (")), "Bad C compiler: the kernel was built with \"gcc-15 (Debian 14.2.0-19) 14.2.0\", this machine has no gcc-15"),
            (Box::new(|f| f.remove(&rmeta)), "Bad build folder: "),
            (Box::new(|f| f.put("proc/self/status", "CapEff:\t0000000000000000\n")), "Note rights: "),
            (Box::new(|f| f.put("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")), "Bad lockdown: the kernel is locked down (integrity)"),
            (Box::new(|f| f.put("sys/module/module/parameters/sig_enforce", "Y\n")), "Bad signatures: "),
            (Box::new(|f| f.put("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", [6, 0, 0, 0, 1])), "Note Secure Boot: "),
            (Box::new(|f| f.put("proc/sys/kernel/modules_disabled", "1\n")), "Bad modules: "),
            (Box::new(|f| f.put("proc/kallsyms", "0 T vunmap_range_noflush\n")), "Bad kernel functions: this kernel has no kallsyms_lookup_name, vmap_pages_range_noflush, "),
            (Box::new(|f| f.remove("proc/modules")), "Bad modules: this kernel takes no modules"),
            (Box::new(|f| f.remove("proc/kallsyms")), "Bad kernel functions: there is no /proc/kallsyms"),
            (Box::new(|f| f.put("proc/sys/kernel/ftrace_enabled", "0\n")), "Note ftrace: turned off"),
            (Box::new(|f| f.put("proc/meminfo", "MemTotal: 900000 kB\nVmallocTotal: 2000000 kB\n")), "Note room for the arena: 4096 MiB"),
            (Box::new(|f| f.put("sys/module/vmapcache/version", "0.1\n")), "Note module: vmapcache 0.1 is loaded"),
            (Box::new(|f| f.put("proc/mounts", "t /sys/kernel/tracing tracefs rw 0 0\n")), "Note debugfs: not mounted"),
        ];
        for (harm, wanted) in harms {
            let folder = Folder::healthy("fault");
            harm(&folder);
            let complaints = folder.complaints();
            assert_eq!(complaints.len(), 1, "{wanted}: {complaints:?}");
            assert!(
                complaints[0].starts_with(wanted),
                "{complaints:?} is not {wanted}"
            );
        }
    }

    /// With the package vmapcache-dkms, Debian's headers are enough. Without headers it builds nothing.
    #[test]
    fn what_dkms_has_prepared_is_found() {
        let folder = Folder::healthy("dkms");
        folder.remove(&format!("lib/modules/{RELEASE}/build/rust/libkernel.rmeta"));
        folder.put(
            "var/cache/vmapcache/7.2-other/build/rust/libkernel.rmeta",
            "",
        );
        assert_eq!(folder.complaints().len(), 1);
        let kept = format!("var/cache/vmapcache/{RELEASE}/build/rust/libkernel.rmeta");
        folder.put(&kept, "");
        assert_eq!(folder.complaints(), [""; 0]);
        fs::remove_dir_all(folder.0.join("lib")).unwrap();
        let complaints = folder.complaints();
        let without = |c: &String| c.contains("headers are not installed");
        assert!(complaints.iter().any(without), "{complaints:?}");
    }

    /// Without its build folder a kernel may say its options elsewhere.
    #[test]
    fn the_configuration_is_found_in_boot() {
        let folder = Folder::healthy("boot");
        fs::remove_dir_all(folder.0.join("lib")).unwrap();
        folder.put(
            &format!("boot/config-{RELEASE}"),
            "CONFIG_MODULES=y\n# CONFIG_RUST is not set\n",
        );
        let complaints = folder.complaints();
        assert!(
            complaints[0].contains("CONFIG_RUST, CONFIG_KPROBES"),
            "{complaints:?}"
        );
        assert!(
            complaints
                .iter()
                .any(|c| c.contains("headers are not installed")),
            "{complaints:?}"
        );
    }

    #[test]
    fn the_functions_are_those_that_the_module_needs() {
        let stats = counters(STATS).unwrap();
        for function in FUNCTIONS {
            assert!(
                stats
                    .iter()
                    .any(|(key, _)| *key == format!("symbol_{function}")),
                "{function}"
            );
        }
    }

    #[test]
    fn answers_fit_on_a_terminal() {
        let answer = bad("a thing", "word ".repeat(40), "advice ".repeat(30)).to_string();
        assert!(answer.lines().all(|line| line.len() < 80), "{answer}");
        assert!(answer.starts_with("  BAD   a thing: word"), "{answer}");
    }
}
