// SPDX-License-Identifier: GPL-2.0

//! Loads the module and its laboratory for the time of a run, unless they are loaded already: from the files that
//! options name, else those that are installed.

use crate::{lab, signals};
use std::{io::ErrorKind, os::unix::process::CommandExt, path::PathBuf, process::Command};

#[derive(clap::Args)]
pub struct Options {
    /// vmapcache.ko, loaded if it is not (default: $VMAPCACHE_KO, else the one that is installed)
    #[arg(long)]
    module: Option<PathBuf>,
    /// vmapcache_bench.ko, likewise (default: $BENCH_KO, else the one beside vmapcache.ko, or installed)
    #[arg(long)]
    laboratory: Option<PathBuf>,
    /// Size of its arena, in MiB (default: for the whole matrix 16384, else the module's own)
    #[arg(long)]
    pub arena_mb: Option<u64>,
}

/// Both modules are loaded. Dropping this unloads those that it has loaded.
pub struct Loaded {
    /// In the order in which they were loaded: each may use those before it.
    ours: Vec<&'static str>,
    /// Dropped last: a signal waits until they have gone.
    _signals: signals::PutOff,
}

fn call(program: &str, arguments: &[String]) -> Result<(), String> {
    let status = Command::new(program)
        .args(arguments)
        // Ctrl-C must not reach it and end it half-way.
        .process_group(0)
        .status()
        .map_err(|e| format!("{program}: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{program} {}: {status}", arguments.join(" ")))
    }
}

/// A file that an option names, or a variable of the environment.
fn named(option: &Option<PathBuf>, variable: &str) -> Option<PathBuf> {
    let variable = || std::env::var_os(variable).map(PathBuf::from);
    option.clone().or_else(variable)
}

impl Loaded {
    pub fn take(options: &Options) -> Result<Loaded, String> {
        let mut loaded = Loaded {
            ours: Vec::new(),
            _signals: signals::PutOff::begin(),
        };
        match lab::folder().try_exists() {
            Ok(true) => return Ok(loaded),
            Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                return Err("only root can load the modules and measure with them".into());
            }
            _ => {}
        }
        let module = named(&options.module, "VMAPCACHE_KO");
        let laboratory = named(&options.laboratory, "BENCH_KO")
            .or_else(|| Some(module.as_ref()?.with_file_name("vmapcache_bench.ko")));
        if !loaded_already("vmapcache") {
            let parameters = options.arena_mb.map(|mb| format!("arena_mb={mb}"));
            loaded.load("vmapcache", module, "--module", parameters)?;
        }
        if !loaded_already("vmapcache_bench") {
            loaded.load("vmapcache_bench", laboratory, "--laboratory", None)?;
        }
        if !lab::folder().exists() {
            return Err(format!(
                "no {}: is debugfs mounted?",
                lab::folder().display()
            ));
        }
        signals::check()?;
        Ok(loaded)
    }

    fn load(
        &mut self,
        name: &'static str,
        file: Option<PathBuf>,
        option: &str,
        parameters: Option<String>,
    ) -> Result<(), String> {
        let (program, mut arguments) = match &file {
            Some(file) => ("insmod", vec![file.display().to_string()]),
            None => ("modprobe", vec!["-q".into(), name.into()]),
        };
        arguments.extend(parameters);
        call(program, &arguments).map_err(|why| match &file {
            Some(_) => why,
            None => format!(
                "{name} is not loaded, and {why}: `vmapcache doctor` says what is in the way; {option} takes a file"
            ),
        })?;
        self.ours.push(name);
        Ok(())
    }
}

fn loaded_already(name: &str) -> bool {
    PathBuf::from("/sys/module").join(name).exists()
}

impl Drop for Loaded {
    fn drop(&mut self) {
        for name in self.ours.drain(..).rev() {
            if let Err(e) = call("rmmod", &[name.into()]) {
                eprintln!("vmapcache: {e}");
            }
        }
    }
}
