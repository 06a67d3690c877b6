// SPDX-License-Identifier: GPL-2.0

//! The manual pages, and completions for shells: from the same words as `--help`.

use crate::Arguments;
use clap::CommandFactory;
use clap_complete::Shell;
use std::{fs, io, path::PathBuf};

#[derive(clap::Args)]
pub struct Folder {
    /// Where the pages go: vmapcache.1, and one for each command
    folder: PathBuf,
}

#[derive(clap::Args)]
pub struct Completions {
    #[arg(value_enum)]
    shell: Shell,
}

/// Writes the manual pages.
pub fn pages(options: &Folder) -> Result<bool, String> {
    let say = |e: io::Error| format!("{}: {e}", options.folder.display());
    fs::create_dir_all(&options.folder).map_err(say)?;
    clap_mangen::generate_to(Arguments::command(), &options.folder).map_err(say)?;
    Ok(true)
}

/// Prints a shell's completions.
pub fn completions(options: &Completions) -> Result<bool, String> {
    let mut text = Vec::new();
    clap_complete::generate(
        options.shell,
        &mut Arguments::command(),
        "vmapcache",
        &mut text,
    );
    io::Write::write_all(&mut io::stdout(), &text).map_err(|e| format!("output: {e}"))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page() {
        let folder = std::env::temp_dir().join(format!("vmapcache-man-{}", std::process::id()));
        let options = Folder {
            folder: folder.clone(),
        };
        pages(&options).unwrap();
        let page = |name: &str| fs::read_to_string(folder.join(name));
        let main = page("vmapcache.1").unwrap();
        let texts: Vec<_> = Arguments::command()
            .get_subcommands()
            .map(|command| {
                (
                    command.get_name().to_string(),
                    page(&format!("vmapcache-{}.1", command.get_name())),
                )
            })
            .collect();
        fs::remove_dir_all(&folder).unwrap();
        assert!(texts.len() > 10);
        for (name, text) in texts {
            assert!(text.unwrap().contains("NAME"), "{name}");
            assert!(main.contains(&format!("vmapcache\\-{name}(1)")), "{name}");
        }
        assert!(
            main.contains("EXAMPLES") || main.contains("Examples"),
            "{main}"
        );
    }

    #[test]
    fn arguments_are_sound() {
        Arguments::command().debug_assert();
    }
}
