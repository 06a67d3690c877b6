// SPDX-License-Identifier: GPL-2.0

//! The picture as SVG.

use super::{
    picture::{Groups, Picture},
    By,
};
use crate::{output::plain, size::bytes, view::readable};
use std::fmt::Write;

/// Okabe and Ito's, which all eyes tell apart.
const COLOURS: [&str; Groups::MOST] = [
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999",
];

/// Width and height of a cell, and the room at the left for offsets.
const SIDE: usize = 8;
const LEFT: usize = 80;
const TOP: usize = 40;
const LINE: usize = 18;

fn escaped(text: &str) -> String {
    plain(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// How much of a cell is used, in tenths: neighbours that look the same become one shape.
fn tenths(used: u64, full: u64) -> u64 {
    (used * 10).div_ceil(full.max(1)).min(10)
}

pub fn draw(picture: &Picture, groups: &Groups, by: By) -> String {
    let legend = groups.legend();
    let rows = picture.cells.len().div_ceil(picture.columns);
    let width = LEFT + picture.columns.max(60) * SIDE + 20;
    let height = TOP + rows * SIDE + 20 + (legend.len() + 1) * LINE;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <title>The arena of vmapcache</title>\n\
         <style>text {{ font: 12px sans-serif; fill: #222 }} .back {{ fill: #fff }} .free {{ fill: #eee }}\n\
         @media (prefers-color-scheme: dark) {{ text {{ fill: #ddd }} .back {{ fill: #181818 }} .free {{ fill: #2a2a2a }} }}</style>\n\
         <rect class=\"back\" width=\"{width}\" height=\"{height}\"/>\n\
         <text x=\"10\" y=\"20\">{} from {:#x} on, {} a cell, by {}</text>\n",
        bytes(picture.end - picture.start),
        picture.start,
        bytes(picture.cell_bytes),
        format!("{by:?}").to_lowercase(),
    );
    // Writing to a string cannot fail.
    for (n, (offset, row)) in picture.rows().enumerate() {
        let y = TOP + n * SIDE;
        if n % 4 == 0 {
            let _ = writeln!(
                text,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">+{}</text>",
                LEFT - 8,
                y + SIDE,
                bytes(offset)
            );
        }
        let mut x = LEFT;
        let look =
            |cell: &super::picture::Cell| (cell.colour(), tenths(cell.used(), picture.cell_bytes));
        for same in row.chunk_by(|a, b| look(a) == look(b)) {
            let length = same.len() * SIDE;
            let shape = format!("<rect x=\"{x}\" y=\"{y}\" width=\"{length}\" height=\"{SIDE}\"");
            let _ = match look(&same[0]) {
                (None, _) => writeln!(text, "{shape} class=\"free\"/>"),
                (Some(colour), tenths) => writeln!(
                    text,
                    "{shape} fill=\"{}\" opacity=\"{}\"/>",
                    COLOURS[colour],
                    tenths as f64 / 10.0
                ),
            };
            x += length;
        }
    }
    let mut y = TOP + rows * SIDE + 20;
    for (colour, name, size, count) in legend {
        let _ = writeln!(
            text,
            "<rect x=\"{LEFT}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{}\"/>\
             <text x=\"{}\" y=\"{y}\">{}: {} in {count} areas</text>",
            y - 10,
            COLOURS[colour],
            LEFT + 20,
            escaped(&readable(&name)),
            bytes(size),
        );
        y += LINE;
    }
    let _ = writeln!(
        text,
        "<text x=\"{LEFT}\" y=\"{y}\">paler: less of the cell is used</text>\n</svg>"
    );
    text
}
