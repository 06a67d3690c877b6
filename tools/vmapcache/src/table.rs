// SPDX-License-Identifier: GPL-2.0

//! A table on a terminal: its first column to the left, the others to the right.

use crate::output::plain;
use textwrap::{fill, Options};

/// The rows of text, below one or two lines of heads.
pub struct Table {
    title: &'static str,
    /// Of each column: the group that it belongs to, or nothing, and its name.
    heads: Vec<(&'static str, &'static str)>,
    rows: Vec<Vec<String>>,
    /// What a reader must know of it.
    note: String,
}

fn characters(text: &str) -> usize {
    text.chars().count()
}

impl Table {
    /// A head is the name of a column, or "GROUP|NAME". Neighbours of one group share a head above
    /// their names.
    pub fn new(title: &'static str, heads: &[&'static str]) -> Table {
        Table {
            title,
            heads: heads
                .iter()
                .map(|head| head.split_once('|').unwrap_or(("", head)))
                .collect(),
            rows: Vec::new(),
            note: String::new(),
        }
    }

    pub fn with_note(mut self, note: impl Into<String>) -> Table {
        self.note = note.into();
        self
    }

    pub fn row(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The widths of the columns: each group's head has room above its columns.
    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .heads
            .iter()
            .map(|(_, name)| characters(name))
            .collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = characters(cell).max(*width);
            }
        }
        let mut at = 0;
        for group in self.heads.chunk_by(|a, b| a.0 == b.0) {
            let columns = &mut widths[at..at + group.len()];
            let room = columns.iter().sum::<usize>() + 2 * (columns.len() - 1);
            // A column without a group has no head above its name.
            columns[0] += characters(group[0].0).saturating_sub(room);
            at += group.len();
        }
        widths
    }

    /// The line of groups.
    fn groups(&self, widths: &[usize]) -> String {
        let mut at = 0;
        let cells = self.heads.chunk_by(|a, b| a.0 == b.0).map(|group| {
            let columns = &widths[at..at + group.len()];
            at += group.len();
            let room = columns.iter().sum::<usize>() + 2 * (columns.len() - 1);
            match group[0].0 {
                "" => " ".repeat(room),
                name if group.len() == 1 || characters(name) + 4 > room => format!("{name:>room$}"),
                name => format!("{:-^room$}", format!(" {name} ")),
            }
        });
        cells.collect::<Vec<_>>().join("  ")
    }

    /// The table as lines; none if it has no row.
    pub fn text(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let widths = self.widths();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells = cells
                .zip(&widths)
                .enumerate()
                .map(|(i, (cell, w))| match i {
                    0 => format!("{cell:<w$}"),
                    _ => format!("{cell:>w$}"),
                });
            cells.collect::<Vec<_>>().join("  ")
        };
        let mut lines = Vec::new();
        if self.heads.iter().any(|(group, _)| !group.is_empty()) {
            lines.push(self.groups(&widths));
        }
        lines.push(line(&mut self.heads.iter().map(|(_, name)| *name)));
        lines.push("-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)));
        for row in &self.rows {
            lines.push(line(&mut row.iter().map(String::as_str)));
        }
        let mut text = format!("\n{}\n", self.title);
        for line in lines {
            text += &format!("  {}\n", plain(line.trim_end()));
        }
        if !self.note.is_empty() {
            text += &(wrapped(&self.note, "  ") + "\n");
        }
        text
    }
}

/// Its parts, for a page.
#[cfg(feature = "report")]
impl Table {
    pub fn title(&self) -> &str {
        self.title
    }

    pub fn heads(&self) -> &[(&'static str, &'static str)] {
        &self.heads
    }

    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    pub fn note(&self) -> &str {
        &self.note
    }
}

/// Text as lines that begin with `indent` and fit on a terminal.
pub fn wrapped(text: &str, indent: &str) -> String {
    let options = Options::new(79)
        .initial_indent(indent)
        .subsequent_indent(indent);
    fill(text, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_share_a_head() {
        let mut table = Table::new(
            "T",
            &[
                "what",
                "ns|in-tree",
                "ns|vmapcache",
                "ratio",
                "a long head|x",
            ],
        )
        .with_note("note");
        assert_eq!(table.text(), "");
        table.row(
            ["a", "1", "123456789012", "2", "3"]
                .map(String::from)
                .to_vec(),
        );
        let wanted = "
T
        -------- ns ---------         a long head
  what  in-tree     vmapcache  ratio            x
  -----------------------------------------------
  a           1  123456789012      2            3
  note
";
        assert_eq!(table.text(), wanted);
    }

    #[test]
    fn without_groups_there_is_one_line_of_heads() {
        let mut table = Table::new("T", &["a", "b"]);
        table.row(vec!["1".into(), "2".into()]);
        assert_eq!(table.text(), "\nT\n  a  b\n  ----\n  1  2\n");
    }
}
