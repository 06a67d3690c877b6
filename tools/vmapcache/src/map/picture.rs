// SPDX-License-Identifier: GPL-2.0

//! Cells, each of which stands for as many bytes of the arena as the others.

use std::{cmp::Reverse, collections::HashMap};

/// A part of the arena that belongs to one group.
pub struct Piece {
    pub start: u64,
    pub end: u64,
    pub group: u32,
}

/// What the colours stand for. There are [`Groups::MOST`] colours; the smallest groups share the last.
#[derive(Default)]
pub struct Groups {
    numbers: HashMap<String, u32>,
    /// Names, bytes and areas, by number.
    all: Vec<(String, u64, u64)>,
    /// The colour of each number.
    colours: Vec<usize>,
    /// The numbers that have a colour of their own.
    shown: Vec<u32>,
}

impl Groups {
    pub const MOST: usize = 8;

    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.all.len() as u32;
        self.numbers.insert(name.into(), number);
        self.all.push((name.into(), 0, 0));
        number
    }

    pub fn count(&mut self, number: u32, bytes: u64) {
        let group = &mut self.all[number as usize];
        group.1 += bytes;
        group.2 += 1;
    }

    /// Gives colours: by size, or in the order in which the groups were named, so that each group has
    /// the same one in all pictures.
    pub fn settle(&mut self, fixed: bool) {
        let mut order: Vec<u32> = (0..self.all.len() as u32).collect();
        if !fixed {
            order.sort_by_key(|n| Reverse(self.all[*n as usize].1));
        }
        let own = match order.len() {
            n if n <= Self::MOST => n,
            _ => Self::MOST - 1,
        };
        self.colours = vec![Self::MOST - 1; order.len()];
        for (colour, number) in order[..own].iter().enumerate() {
            self.colours[*number as usize] = colour;
        }
        self.shown = order[..own].to_vec();
    }

    pub fn colour(&self, number: u32) -> usize {
        self.colours[number as usize]
    }

    /// Colour, name, bytes and pieces of each line of the legend.
    pub fn legend(&self) -> Vec<(usize, String, u64, u64)> {
        let of = |n: &u32| {
            let (name, bytes, count) = &self.all[*n as usize];
            (self.colour(*n), name.clone(), *bytes, *count)
        };
        let mut lines: Vec<_> = self
            .shown
            .iter()
            .map(of)
            .filter(|line| line.3 > 0)
            .collect();
        if self.shown.len() < self.all.len() {
            let others = (0..self.all.len() as u32).filter(|n| !self.shown.contains(n));
            let (mut bytes, mut count) = (0, 0);
            for n in others {
                bytes += self.all[n as usize].1;
                count += self.all[n as usize].2;
            }
            let name = format!("({} others)", self.all.len() - self.shown.len());
            lines.push((Self::MOST - 1, name, bytes, count));
        }
        lines
    }
}

/// One cell: bytes of each colour.
#[derive(Clone, Copy, Default)]
pub struct Cell {
    pub bytes: [u64; Groups::MOST],
}

impl Cell {
    pub fn used(&self) -> u64 {
        self.bytes.iter().sum()
    }

    /// The colour with most bytes, if there are any.
    pub fn colour(&self) -> Option<usize> {
        let colours = 0..self.bytes.len();
        // Of equals the first, as the legend has it.
        let most = colours.max_by_key(|c| (self.bytes[*c], Reverse(*c)))?;
        (self.bytes[most] > 0).then_some(most)
    }
}

pub struct Picture {
    pub start: u64,
    pub end: u64,
    /// Bytes of a cell; the last one may stand for less.
    pub cell_bytes: u64,
    pub columns: usize,
    pub cells: Vec<Cell>,
}

/// The smallest page of any kernel: a cell has whole ones.
const LEAST: u64 = 4096;

impl Picture {
    pub fn new(
        (start, end): (u64, u64),
        pieces: &[Piece],
        groups: &Groups,
        (columns, rows): (usize, usize),
    ) -> Picture {
        let most = (columns * rows) as u64;
        let bytes = end.saturating_sub(start).max(1);
        // Whole pages, so that one page is in one cell.
        let cell_bytes = bytes.div_ceil(most).next_multiple_of(LEAST);
        let mut cells = vec![Cell::default(); bytes.div_ceil(cell_bytes) as usize];
        for piece in pieces {
            let (mut at, end) = (piece.start.max(start), piece.end.min(end));
            while at < end {
                let n = (at - start) / cell_bytes;
                let upto = (start + (n + 1) * cell_bytes).min(end);
                cells[n as usize].bytes[groups.colour(piece.group)] += upto - at;
                at = upto;
            }
        }
        Picture {
            start,
            end,
            cell_bytes,
            columns,
            cells,
        }
    }

    pub fn rows(&self) -> impl Iterator<Item = (u64, &[Cell])> {
        let bytes = self.cell_bytes * self.columns as u64;
        self.cells
            .chunks(self.columns)
            .enumerate()
            .map(move |(n, row)| (n as u64 * bytes, row))
    }
}
