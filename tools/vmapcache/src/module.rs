// SPDX-License-Identifier: GPL-2.0

//! Loads the module for the time of a run, where it is not loaded already.

use crate::{lab, signals};
use std::{os::unix::process::CommandExt, path::PathBuf, process::Command};

#[derive(clap::Args)]
pub struct Options {
    /// The module to be loaded, if it is not (default: $VMAPCACHE_KO)
    #[arg(long)]
    module: Option<PathBuf>,
    /// Size of its arena, in MiB (default: for the whole matrix 16384, else the module's own)
    #[arg(long)]
    pub arena_mb: Option<u64>,
}

/// The module is loaded; if that was done here, it goes again when this is dropped.
pub struct Loaded {
    ours: bool,
    /// Dropped last: a signal waits until the module has gone.
    _signals: signals::PutOff,
}

fn call(program: &str, arguments: &[String]) -> Result<(), String> {
    let status = Command::new(program)
        .args(arguments)
        // Ctrl-C must not reach it: half of its work would be done, and nobody would know.
        .process_group(0)
        .status()
        .map_err(|e| format!("{program}: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{program} {}: {status}", arguments.join(" ")))
    }
}

impl Loaded {
    pub fn take(options: &Options) -> Result<Loaded, String> {
        let _signals = signals::PutOff::begin();
        if lab::folder().exists() {
            return Ok(Loaded {
                ours: false,
                _signals,
            });
        }
        let module = options
            .module
            .clone()
            .or_else(|| std::env::var_os("VMAPCACHE_KO").map(PathBuf::from))
            .ok_or("vmapcache is not loaded, or debugfs is not mounted; --module loads it")?;
        let mut arguments = vec![module.display().to_string()];
        arguments.extend(options.arena_mb.map(|mb| format!("arena_mb={mb}")));
        call("insmod", &arguments)?;
        if !lab::folder().exists() {
            let _ = call("rmmod", &["vmapcache".into()]);
            return Err(format!(
                "no {}: is debugfs mounted, was the module built without BENCH=n?",
                lab::folder().display()
            ));
        }
        let loaded = Loaded {
            ours: true,
            _signals,
        };
        signals::check()?;
        Ok(loaded)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        if self.ours {
            if let Err(e) = call("rmmod", &["vmapcache".into()]) {
                eprintln!("vmapcache: {e}");
            }
        }
    }
}
