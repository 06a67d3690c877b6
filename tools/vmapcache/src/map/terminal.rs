// SPDX-License-Identifier: GPL-2.0

//! The picture in a terminal: blocks with colours, or letters without.

use super::picture::{Cell, Groups, Picture};
use crate::{output::plain, size::bytes, view::readable};

/// Of the 256 colours of a terminal; those that all eyes tell apart (Okabe and Ito).
const COLOURS: [u8; Groups::MOST] = [32, 214, 36, 175, 117, 166, 227, 246];

fn letter(colour: usize) -> char {
    char::from(b'A' + colour as u8)
}

/// A cell; `full` is the bytes of a full one.
fn cell(cell: &Cell, full: u64, colours: bool) -> String {
    let Some(colour) = cell.colour() else {
        return if colours { " ".into() } else { ".".into() };
    };
    let share = cell.used() as f64 / full as f64;
    if !colours {
        let letter = letter(colour);
        return if share < 0.5 {
            letter.to_ascii_lowercase()
        } else {
            letter
        }
        .to_string();
    }
    let block = match share {
        s if s < 0.25 => '░',
        s if s < 0.5 => '▒',
        s if s < 0.75 => '▓',
        _ => '█',
    };
    format!("\x1b[38;5;{}m{block}", COLOURS[colour])
}

pub fn draw(picture: &Picture, groups: &Groups, colours: bool) -> String {
    let reset = if colours { "\x1b[0m" } else { "" };
    let mut text = format!(
        "{} from {:#x} on, {} a cell\n\n",
        bytes(picture.end - picture.start),
        picture.start,
        bytes(picture.cell_bytes)
    );
    for (offset, row) in picture.rows() {
        text += &format!("{:>10} ", format!("+{}", bytes(offset)));
        for one in row {
            text += &cell(one, picture.cell_bytes, colours);
        }
        text += reset;
        text.push('\n');
    }
    text.push('\n');
    for (colour, name, size, count) in groups.legend() {
        let mark = match colours {
            true => format!("\x1b[38;5;{}m█{reset}", COLOURS[colour]),
            false => letter(colour).to_string(),
        };
        text += &format!(
            "  {mark} {:>10} {count:>8}  {}\n",
            bytes(size),
            plain(&readable(&name))
        );
    }
    text += &match colours {
        true => "  █ at least 75 % used, ▓ 50, ▒ 25, ░ less\n".to_string(),
        false => "  capital: at least half of the cell is used; . free\n".to_string(),
    };
    text
}
