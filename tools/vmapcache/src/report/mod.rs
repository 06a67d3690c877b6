// SPDX-License-Identifier: GPL-2.0

//! `report`: one page of all that was measured.

mod changes;
mod data;
mod figures;
mod page;
mod plots;
mod said;
#[cfg(test)]
mod tests;

use crate::output;
use changes::Changes;
use data::File;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

#[derive(clap::Args)]
pub struct Options {
    /// Data of make bench, make native, make live or vmapcache replay -O json instead of those in build/
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Older data of one kind: says what changed beyond noise; the status is 1 after a loss
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Where the page goes
    #[arg(short, long, default_value = "build/report.html")]
    out: PathBuf,
}

/// Of each kind, the whole measurement, else the quick one.
const USUAL: [&[&str]; 3] = [
    &["build/native.json"],
    &["build/bench.json", "build/bench-quick.json"],
    &["build/live.json", "build/live-quick.json"],
];

fn files(options: &Options) -> Result<Vec<File>, String> {
    let mut paths: Vec<&Path> = options.files.iter().map(PathBuf::as_path).collect();
    if paths.is_empty() {
        let usual = USUAL.iter();
        let there =
            usual.filter_map(|names| names.iter().map(Path::new).find(|path| path.exists()));
        paths = there.collect();
    }
    if paths.is_empty() {
        return Err(
            "there are no data in build/: make bench, make native and make live leave some".into(),
        );
    }
    let files: Vec<File> = paths
        .into_iter()
        .map(File::read)
        .collect::<Result<_, _>>()?;
    for (n, file) in files.iter().enumerate() {
        if let Some(other) = files[..n].iter().find(|other| other.kind == file.kind) {
            return Err(format!(
                "{} and {} are of one kind: --compare shows what changed between two",
                other.name, file.name
            ));
        }
    }
    Ok(files)
}

pub fn show(options: &Options) -> Result<bool, String> {
    let files = files(options)?;
    let changes = match &options.compare {
        Some(path) => Some(Changes::between(&File::read(path)?, &files)?),
        None => None,
    };
    let text = page::page(&files, changes.as_ref())?;
    let say = |e: std::io::Error| format!("{}: {e}", options.out.display());
    if let Some(folder) = options.out.parent() {
        fs::create_dir_all(folder).map_err(say)?;
    }
    output::replace(&options.out, |mut file| file.write_all(text.as_bytes())).map_err(say)?;
    if let Some(changes) = &changes {
        for line in changes.lines() {
            println!("{}", output::plain(&line));
        }
    }
    println!("{}", options.out.display());
    Ok(changes.is_none_or(|changes| changes.losses.is_empty()))
}
