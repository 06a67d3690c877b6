// SPDX-License-Identifier: GPL-2.0

//! `native` and `live`: what needs a checkout of vmapcache, with its sources and scripts.

use std::{
    env,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

#[derive(clap::Args)]
pub struct Words {
    /// What the script takes: -- --help lists it
    #[arg(
        value_name = "OPTION",
        allow_hyphen_values = true,
        trailing_var_arg = true
    )]
    words: Vec<String>,
}

/// The script in this folder or in one above, if that is a tree of vmapcache.
fn script(from: &Path, name: &str) -> Result<PathBuf, String> {
    let trees = from.ancestors();
    let mut scripts = trees
        .filter(|tree| tree.join("rust/vmapcache.rs").exists())
        .map(|tree| tree.join("scripts").join(name));
    scripts.find(|script| script.exists()).ok_or_else(|| {
        format!(
            "{} is in no checkout of vmapcache, whose scripts/{name} this runs",
            from.display()
        )
    })
}

/// Becomes the script, so that signals and the status are its own.
pub fn run(name: &str, words: &Words) -> Result<bool, String> {
    let here = env::current_dir().map_err(|e| format!("the current folder: {e}"))?;
    let script = script(&here, name)?;
    // `vmapcache native -- --help`: clap keeps the first mark if a word before it is none of its own.
    let words = words.words.iter().skip_while(|word| *word == "--");
    let error = Command::new(&script).args(words).exec();
    Err(format!("{}: {error}", script.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_script_is_that_of_the_tree_around() {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .unwrap();
        for from in ["", "tools", "tools/vmapcache/src"] {
            for name in ["native", "live"] {
                let found = script(&tree.join(from), name).unwrap();
                assert_eq!(found, tree.join("scripts").join(name));
            }
        }
    }

    /// Something else may have a folder of that name.
    #[test]
    fn elsewhere_there_is_none() {
        let folder = env::temp_dir().join(format!("vmapcache-tree-{}", std::process::id()));
        fs::create_dir_all(folder.join("scripts")).unwrap();
        fs::write(folder.join("scripts/native"), "").unwrap();
        let error = script(&folder, "native").unwrap_err();
        assert!(error.ends_with("is in no checkout of vmapcache, whose scripts/native this runs"));
        fs::remove_dir_all(folder).unwrap();
    }
}
