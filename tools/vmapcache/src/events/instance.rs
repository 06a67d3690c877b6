// SPDX-License-Identifier: GPL-2.0

//! An instance of tracefs, for one run of this program: what others trace stays as it is.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// A number of a process follows.
const NAME: &str = "vmapcache-events-";
/// Linux's, on all machines that vmapcache knows.
const O_NONBLOCK: i32 = 0o4000;

pub struct Instance {
    folder: PathBuf,
    pub pipe: File,
}

fn say(path: &Path) -> impl Fn(io::Error) -> String + '_ {
    move |e| format!("{}: {e}", path.display())
}

/// Where the events of vmapcache are, and why not.
fn place() -> Result<&'static Path, String> {
    let mut places = PLACES.iter().map(Path::new);
    let there = places.find(|place| place.join("instances").exists());
    if let Some(place) = there {
        if place.join("events/vmapcache").exists() {
            return Ok(place);
        }
    }
    let loaded = Path::new("/sys/module/vmapcache").exists();
    Err(match fs::read_dir(PLACES[0]).map_err(|e| e.kind()) {
        Err(ErrorKind::PermissionDenied) => "only root can trace".into(),
        _ if !loaded => "vmapcache.ko is not loaded (insmod vmapcache.ko)".into(),
        _ if there.is_none() => {
            format!(
                "tracefs is not mounted (mount -t tracefs none {})",
                PLACES[0]
            )
        }
        _ => "the vmapcache.ko that is loaded has no events".into(),
    })
}

/// Nobody else removes the instance of a run that was killed.
fn remove_left(instances: &Path) {
    let Ok(entries) = fs::read_dir(instances) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(NAME));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

impl Instance {
    /// A new one that traces these events.
    pub fn new(events: &[String], buffer_kb: u32) -> Result<Instance, String> {
        let instances = place()?.join("instances");
        remove_left(&instances);
        let folder = instances.join(format!("{NAME}{}", std::process::id()));
        fs::create_dir(&folder).map_err(say(&folder))?;
        Instance::begin(&folder, events, buffer_kb).inspect_err(|_| {
            let _ = fs::remove_dir(&folder);
        })
    }

    fn begin(folder: &Path, events: &[String], buffer_kb: u32) -> Result<Instance, String> {
        let set = |name: &str, value: &str| {
            let path = folder.join(name);
            fs::write(&path, value).map_err(say(&path))
        };
        // The clocks of CPUs agree, and so does what is in dmesg.
        set("trace_clock", "mono")?;
        set("buffer_size_kb", &buffer_kb.to_string())?;
        let path = folder.join("trace_pipe");
        let open = OpenOptions::new()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(&path);
        let pipe = open.map_err(say(&path))?;
        for event in events {
            set(&format!("events/vmapcache/{event}/enable"), "1")?;
        }
        Ok(Instance {
            folder: folder.into(),
            pipe,
        })
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
        let Ok(cpus) = fs::read_dir(self.folder.join("per_cpu")) else {
            return 0;
        };
        let texts = cpus
            .flatten()
            .filter_map(|cpu| fs::read_to_string(cpu.path().join("stats")).ok());
        texts.map(|text| lost_of(&text)).sum()
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
        // The instance stays while a file of it is open.
        if let Ok(nothing) = File::open("/dev/null") {
            self.pipe = nothing;
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

    #[test]
    fn only_instances_of_runs_that_are_gone_are_removed() {
        let folder = std::env::temp_dir().join(format!("vmapcache-left-{}", std::process::id()));
        let mine = format!("{NAME}{}", std::process::id());
        for name in [
            &mine,
            &format!("{NAME}4194305"),
            "another",
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
        assert_eq!(left, ["another", "vmapcache-events", &mine]);
    }
}
