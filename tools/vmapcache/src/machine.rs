// SPDX-License-Identifier: GPL-2.0

//! The machine of a measurement: without it, the figures mean nothing.

use crate::output::plain;
use serde::{Deserialize, Serialize};
use std::{
    ffi::{c_int, c_long},
    fmt, fs,
    process::Command,
};

extern "C" {
    fn sysconf(name: c_int) -> c_long;
}
/// Linux's, on all machines that vmapcache knows.
const SC_PAGESIZE: c_int = 30;

/// Of the running kernel.
pub fn page_bytes() -> u64 {
    // SAFETY: Returns a number, whatever the argument.
    let bytes = unsafe { sysconf(SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub machine: String,
    pub cpus: usize,
    pub memory_mb: u64,
    pub kernel: String,
    /// Of the working tree; empty without git.
    pub commit: String,
    /// `kvm`, `emulation` or `metal`.
    pub virtualisation: String,
    #[serde(default)]
    pub kvm: bool,
    /// What the figures stand on: `emulated`, `kvm` or `metal`; `native` in the data of
    /// `make native`.
    #[serde(default)]
    pub ground: String,
}

fn field(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|l| l.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

fn commit() -> Option<String> {
    // The tree may belong to another user.
    let git = ["-c", "safe.directory=*", "describe", "--always", "--dirty"];
    let output = Command::new("git").args(git).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_string())
}

/// The commit that HEAD points to, for machines without git.
fn head() -> Option<String> {
    let head = fs::read_to_string(".git/HEAD").ok()?;
    let head = head.trim();
    let id = match head.strip_prefix("ref: ") {
        Some(name) => fs::read_to_string(format!(".git/{name}")).ok()?,
        None => head.to_string(),
    };
    Some(id.trim().chars().take(12).collect())
}

fn virtualisation() -> &'static str {
    let flags = field("/proc/cpuinfo", "flags").unwrap_or_default();
    let name = field("/proc/cpuinfo", "model name").unwrap_or_default();
    let hypervisor = flags.split(' ').any(|f| f == "hypervisor");
    // QEMU's translator names its processors so; KVM shows the host's.
    if name.contains("TCG") || (hypervisor && name.contains("QEMU Virtual CPU")) {
        "emulation"
    } else if hypervisor {
        "kvm"
    } else {
        "metal"
    }
}

/// The word for what such a machine's figures stand on.
pub fn ground(virtualisation: &str) -> &str {
    match virtualisation {
        "emulation" => "emulated",
        other => other,
    }
}

impl Machine {
    pub fn here() -> Machine {
        let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
        let kilobytes: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Machine {
            machine: field("/proc/cpuinfo", "model name").unwrap_or_default(),
            cpus: std::thread::available_parallelism().map_or(1, |n| n.get()),
            memory_mb: kilobytes / 1024,
            kernel: release.trim().to_string(),
            // scripts/vm says what nobody can see inside the VM.
            commit: std::env::var("VMAPCACHE_COMMIT")
                .ok()
                .filter(|commit| !commit.is_empty())
                .or_else(commit)
                .or_else(head)
                .unwrap_or_default(),
            virtualisation: virtualisation().to_string(),
            kvm: virtualisation() == "kvm",
            ground: ground(virtualisation()).to_string(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} CPUs, {} MiB, Linux {}, {}",
            plain(&self.machine),
            self.cpus,
            self.memory_mb,
            plain(&self.kernel),
            plain(&self.virtualisation)
        )?;
        match self.commit.as_str() {
            "" => Ok(()),
            // On a line of its own: the machine's fills a terminal of 80 columns.
            commit => write!(f, "\ncommit {}", plain(commit)),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn pages_have_a_size() {
        let bytes = super::page_bytes();
        assert!(bytes.is_power_of_two() && bytes >= 4096);
    }
}
