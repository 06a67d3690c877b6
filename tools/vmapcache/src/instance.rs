// SPDX-License-Identifier: GPL-2.0

//! An instance of tracefs, for one run of this program: what others trace stays as it is.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// What for, and the number of the process follow.
const NAME: &str = "vmapcache-";
/// Linux's, on all machines that vmapcache knows.
const O_NONBLOCK: i32 = 0o4000;

/// Whose events somebody wants.
#[derive(Clone, Copy)]
pub enum System {
    /// The module's.
    Vmapcache,
    /// The in-tree allocator's.
    #[cfg_attr(not(feature = "record"), allow(dead_code))]
    Vmalloc,
}

impl System {
    fn name(self) -> &'static str {
        match self {
            System::Vmapcache => "vmapcache",
            System::Vmalloc => "vmalloc",
        }
    }

    /// The name of their instance, and the command that makes it.
    fn purpose(self) -> &'static str {
        match self {
            System::Vmapcache => "events",
            System::Vmalloc => "record",
        }
    }
}

pub struct Instance {
    folder: PathBuf,
    system: System,
    /// It stays when this goes.
    stays: bool,
    /// What [`Instance::open`] has opened. The kernel keeps the instance while one is open.
    pub files: Vec<File>,
}

fn say(path: &Path) -> impl Fn(io::Error) -> String + '_ {
    move |e| format!("{}: {e}", path.display())
}

/// Where the events are, or why there are none.
fn place(system: System) -> Result<&'static Path, String> {
    let mut places = PLACES.iter().map(Path::new);
    let there = places.find(|place| place.join("instances").exists());
    if let Some(place) = there {
        if place.join("events").join(system.name()).exists() {
            return Ok(place);
        }
    }
    if let Err(ErrorKind::PermissionDenied) = fs::read_dir(PLACES[0]).map_err(|e| e.kind()) {
        return Err("only root can trace".into());
    }
    let loaded = Path::new("/sys/module/vmapcache").exists();
    Err(match system {
        System::Vmapcache if !loaded => {
            "vmapcache.ko is not loaded (modprobe vmapcache, or insmod vmapcache.ko)".into()
        }
        _ if there.is_none() => {
            format!(
                "tracefs is not mounted (mount -t tracefs none {})",
                PLACES[0]
            )
        }
        System::Vmapcache => "the vmapcache.ko that is loaded has no events".into(),
        System::Vmalloc => "this kernel has no tracepoints of vmalloc".into(),
    })
}

/// Nobody else removes the instance of a run that was killed.
fn remove_left(instances: &Path) {
    let Ok(entries) = fs::read_dir(instances) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(NAME));
        let pid = rest.and_then(|rest| {
            let purposes = [System::Vmapcache, System::Vmalloc].map(System::purpose);
            let (purpose, pid) = rest.split_once('-')?;
            purposes.contains(&purpose).then_some(pid)
        });
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// The words of a kernel's command line with which `record --boot` finds that instance.
#[cfg(feature = "record")]
pub fn words_of_boot(name: &str, buffer_kb: u64) -> String {
    let size = match buffer_kb % 1024 {
        0 => format!("{}M", buffer_kb / 1024),
        _ => format!("{buffer_kb}K"),
    };
    format!("trace_instance={name},vmalloc trace_options=stacktrace trace_buf_size={size}")
}

/// What those words should say, if nothing else is known.
#[cfg(feature = "record")]
const BOOT_KB: u64 = 16_384;

/// Whether the command line asks for an instance of that name.
#[cfg(feature = "record")]
fn asked_for(cmdline: &str, name: &str) -> bool {
    let words = cmdline.split_ascii_whitespace();
    let mut names = words.filter_map(|word| {
        let rest = word.trim_matches('"').strip_prefix("trace_instance=")?;
        rest.split([',', '^', '@', '=']).next()
    });
    names.any(|asked| asked == name)
}

#[cfg(feature = "record")]
fn of_boot(instances: &Path, cmdline: &str, name: &str) -> Result<Instance, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!(
            "{name:?} is no name of an instance: letters, digits, _ and -"
        ));
    }
    let folder = instances.join(name);
    let words = words_of_boot(name, BOOT_KB);
    match (folder.exists(), asked_for(cmdline, name)) {
        (true, true) => {}
        (true, false) => {
            return Err(format!(
                "{}: not made by the kernel's command line, which has no trace_instance={name}",
                folder.display()
            ))
        }
        (false, true) => {
            return Err(format!(
            "{}: gone, although the kernel's command line asks for it: a boot can be recorded once",
            folder.display()
        ))
        }
        (false, false) => {
            return Err(format!(
            "this boot has not been traced; boot with this on the kernel's command line: {words}"
        ))
        }
    }
    let instance = Instance {
        folder,
        system: System::Vmalloc,
        stays: true,
        files: Vec::new(),
    };
    for event in ["alloc_vmap_area", "free_vmap_area_noflush"] {
        // A * or the like may follow.
        if !instance
            .read(&instance.event(event, "enable"))?
            .starts_with('1')
        {
            return Err(format!(
                "{}: does not trace {event}; the kernel's command line should have {words}",
                instance.folder.display()
            ));
        }
    }
    Ok(instance)
}

impl Instance {
    /// A new one, whose buffers have so many KiB for each CPU. It traces nothing yet.
    pub fn new(system: System, buffer_kb: u32) -> Result<Instance, String> {
        let instances = place(system)?.join("instances");
        remove_left(&instances);
        let name = format!("{NAME}{}-{}", system.purpose(), std::process::id());
        let folder = instances.join(name);
        fs::create_dir(&folder).map_err(say(&folder))?;
        let instance = Instance {
            folder,
            system,
            stays: false,
            files: Vec::new(),
        };
        // A new instance has the options of the whole system, and a boot may have left this one.
        #[cfg(feature = "record")]
        let _ = instance.set("options/stacktrace", "0");
        // Events have numbers of processes; their names are kept beside.
        let _ = instance.set("options/record-cmd", "1");
        // The clocks of CPUs agree, and so does what is in dmesg.
        instance.set("trace_clock", "mono")?;
        instance.set("buffer_size_kb", &buffer_kb.to_string())?;
        Ok(instance)
    }

    /// The one that the kernel's command line has made, for events of vmalloc. It stays until
    /// [`Instance::remove`].
    ///
    /// # Errors
    ///
    /// A line that says what the command line should have.
    #[cfg(feature = "record")]
    pub fn of_boot(name: &str) -> Result<Instance, String> {
        let instances = place(System::Vmalloc)?.join("instances");
        let cmdline =
            fs::read_to_string("/proc/cmdline").map_err(say(Path::new("/proc/cmdline")))?;
        of_boot(&instances, &cmdline, name)
    }

    /// Removes it, whoever made it.
    #[cfg(feature = "record")]
    pub fn remove(mut self) {
        self.stays = false;
    }

    /// From now on who waits for a buffer wakes with its first event, not when it is half full. A kernel that cannot do
    /// so lets them look now and then.
    pub fn wake_at_once(&self) {
        let _ = self.set("buffer_percent", "0");
    }

    /// A file that tracefs has once, for all instances.
    pub fn of_all(&self, name: &str) -> PathBuf {
        self.folder.join("../..").join(name)
    }

    pub fn set(&self, name: &str, value: &str) -> Result<(), String> {
        let path = self.folder.join(name);
        fs::write(&path, value).map_err(say(&path))
    }

    /// Reads a file of less than 64 KiB at once, or of any size in pieces, as the kernel has it.
    pub fn read(&self, name: &str) -> Result<String, String> {
        let path = self.folder.join(name);
        let mut text = vec![0; 1 << 16];
        // At once: a second read() of some files finds nothing more. Others hand out a page each time.
        let read = File::open(&path).and_then(|mut file| {
            let read = file.read(&mut text)?;
            text.truncate(read);
            file.read_to_end(&mut text)
        });
        read.map_err(say(&path))?;
        String::from_utf8(text).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Opens a file whose reader does not wait. It becomes the last of `files`.
    pub fn open(&mut self, name: &str) -> Result<(), String> {
        let path = self.folder.join(name);
        let open = OpenOptions::new()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(&path);
        self.files.push(open.map_err(say(&path))?);
        Ok(())
    }

    /// The file of an event.
    pub fn event(&self, event: &str, file: &str) -> String {
        format!("events/{}/{event}/{file}", self.system.name())
    }

    pub fn enable(&self, event: &str) -> Result<(), String> {
        self.set(&self.event(event, "enable"), "1")
    }

    /// CPUs that have a buffer.
    pub fn cpus(&self) -> Result<Vec<u16>, String> {
        let path = self.folder.join("per_cpu");
        let names = fs::read_dir(&path).map_err(say(&path))?.flatten();
        let of = |name: &str| name.strip_prefix("cpu")?.parse().ok();
        let mut cpus: Vec<u16> = names
            .filter_map(|entry| of(entry.file_name().to_str()?))
            .collect();
        cpus.sort_unstable();
        Ok(cpus)
    }

    /// Whether the module is still there.
    pub fn alive(&self) -> bool {
        self.folder.join("events/vmapcache").exists()
    }

    /// From now on there is no new event.
    pub fn stop(&self) {
        let _ = fs::write(self.folder.join("tracing_on"), "0");
    }

    /// Events that the buffers had no room for.
    pub fn lost(&self) -> u64 {
        let Ok(cpus) = self.cpus() else {
            return 0;
        };
        cpus.into_iter().map(|cpu| self.lost_on(cpu)).sum()
    }

    /// The same, on this CPU.
    pub fn lost_on(&self, cpu: u16) -> u64 {
        let stats = fs::read_to_string(self.folder.join(format!("per_cpu/cpu{cpu}/stats")));
        stats.map_or(0, |text| lost_of(&text))
    }
}

fn lost_of(stats: &str) -> u64 {
    let of = |line: &str| {
        let (key, number) = line.split_once(": ")?;
        let counts = ["overrun", "commit overrun", "dropped events"].contains(&key);
        counts.then(|| number.trim().parse::<u64>().ok())?
    };
    stats.lines().filter_map(of).sum()
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.files.clear();
        if self.stays {
            return;
        }
        let _ = fs::write(self.folder.join("events/enable"), "0");
        if let Err(e) = fs::remove_dir(&self.folder) {
            eprintln!("vmapcache: {}: {e}", self.folder.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_of_losses_add_up() {
        let stats =
            "entries: 129\noverrun: 3\ncommit overrun: 4\nbytes: 7\noldest event ts:  2722.0\n\
             now ts:  2723.1\ndropped events: 5\nread events: 6\n";
        assert_eq!(lost_of(stats), 12);
        assert_eq!(lost_of("junk\noverrun: x"), 0);
    }

    #[cfg(feature = "record")]
    #[test]
    fn the_command_line_asks_for_an_instance() {
        for cmdline in [
            "quiet trace_instance=vmapcache,vmalloc trace_buf_size=16M",
            "trace_instance=other trace_instance=vmapcache",
            "trace_instance=vmapcache^traceprintk,sched",
            "trace_instance=vmapcache@0x1000:1M,vmalloc\n",
            "\"trace_instance=vmapcache,vmalloc\" quiet",
        ] {
            assert!(asked_for(cmdline, "vmapcache"), "{cmdline}");
        }
        for cmdline in [
            "",
            "quiet",
            "trace_instance=vmapcache2,vmalloc",
            "xtrace_instance=vmapcache",
            "trace_instance=other,vmapcache",
            "trace_instance",
        ] {
            assert!(!asked_for(cmdline, "vmapcache"), "{cmdline}");
        }
        assert_eq!(
            words_of_boot("it", 2048),
            "trace_instance=it,vmalloc trace_options=stacktrace trace_buf_size=2M"
        );
        assert!(words_of_boot("it", 2047).ends_with("=2047K"));
    }

    #[cfg(feature = "record")]
    #[test]
    fn an_instance_of_a_boot_is_found_or_it_is_said_why_not() {
        let folder = std::env::temp_dir().join(format!("vmapcache-boot-{}", std::process::id()));
        let line = "quiet trace_instance=it,vmalloc";
        let said = |cmdline, name| of_boot(&folder, cmdline, name).err().unwrap();
        assert_eq!(
            said("quiet", "it"),
            "this boot has not been traced; boot with this on the kernel's command line: \
             trace_instance=it,vmalloc trace_options=stacktrace trace_buf_size=16M"
        );
        assert!(
            said(line, "it").contains("/it: gone, although"),
            "{}",
            said(line, "it")
        );
        for name in ["", ".", "..", "a/b", "a b", "../it"] {
            assert!(
                said(line, name).contains("is no name of an instance"),
                "{name}"
            );
        }
        let events = folder.join("it/events/vmalloc");
        for (event, enable) in [
            ("alloc_vmap_area", "1*\n"),
            ("free_vmap_area_noflush", "0\n"),
        ] {
            fs::create_dir_all(events.join(event)).unwrap();
            fs::write(events.join(event).join("enable"), enable).unwrap();
        }
        assert!(said("quiet", "it").contains("/it: not made by the kernel's command line"));
        let none = said(line, "it");
        assert!(
            none.contains("/it: does not trace free_vmap_area_noflush"),
            "{none}"
        );
        fs::write(events.join("free_vmap_area_noflush/enable"), "1\n").unwrap();
        drop(of_boot(&folder, line, "it").unwrap());
        assert!(events.exists(), "it stays");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn only_instances_of_runs_that_are_gone_are_removed() {
        let folder = std::env::temp_dir().join(format!("vmapcache-left-{}", std::process::id()));
        let mine = format!("{NAME}events-{}", std::process::id());
        for name in [
            &mine,
            &format!("{NAME}events-4194305"),
            &format!("{NAME}record-4194305"),
            "another",
            "vmapcache-other-4194305",
            "vmapcache-events",
        ] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        remove_left(&folder);
        let mut left: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .flatten()
            .map(|e| e.file_name())
            .collect();
        left.sort();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(
            left,
            [
                "another",
                "vmapcache-events",
                &mine,
                "vmapcache-other-4194305"
            ]
        );
    }
}
