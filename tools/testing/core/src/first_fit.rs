// SPDX-License-Identifier: GPL-2.0

//! The oracle of the extents: a list, and a plain linear first fit over it.

use crate::collections::Vec;

/// Free space as a sorted list, searched from its beginning each time.
pub struct FirstFit {
    free: Vec<(u64, u64)>,
}

impl FirstFit {
    /// `pages` free pages from `start` on.
    pub fn new(start: u32, pages: u32) -> Self {
        let free = (u64::from(start), u64::from(start) + u64::from(pages));
        Self {
            free: Vec::from_iter((pages > 0).then_some(free)),
        }
    }

    /// The lowest address that serves, if any.
    pub fn alloc(&mut self, pages: u32, align: u32) -> Option<u32> {
        let (pages, align) = (u64::from(pages), u64::from(align));
        let place = |&(start, end): &(u64, u64)| {
            let start = start.next_multiple_of(align);
            (start + pages <= end).then_some(start)
        };
        let (i, start) = self
            .free
            .iter()
            .enumerate()
            .find_map(|(i, e)| Some((i, place(e)?)))?;
        self.cut(i, start, pages);
        Some(start as u32)
    }

    fn cut(&mut self, i: usize, start: u64, pages: u64) {
        let (from, to) = self.free[i];
        let rest = [(from, start), (start + pages, to)];
        self.free.remove(i);
        for rest in rest.into_iter().rev().filter(|(s, e)| s < e) {
            self.free.insert(i, rest);
        }
    }

    /// Takes a range if all of it is free.
    pub fn take_at(&mut self, start: u32, pages: u32) -> bool {
        let (start, pages) = (u64::from(start), u64::from(pages));
        let holds = |&(s, e): &(u64, u64)| s <= start && start + pages <= e;
        let found = self.free.iter().position(holds);
        if let Some(i) = found {
            self.cut(i, start, pages);
        }
        found.is_some()
    }

    /// Gives a range back that is not free.
    pub fn free(&mut self, start: u32, pages: u32) {
        assert_eq!(self.is_free(start, pages), Some(false));
        let (start, end) = (u64::from(start), u64::from(start) + u64::from(pages));
        let mut i = self.free.partition_point(|e| e.0 < start);
        self.free.insert(i, (start, end));
        if i > 0 && self.free[i - 1].1 == start {
            i -= 1;
            self.free[i].1 = end;
            self.free.remove(i + 1);
        }
        if self.free.get(i + 1).is_some_and(|e| e.0 == end) {
            self.free[i].1 = self.free[i + 1].1;
            self.free.remove(i + 1);
        }
    }

    /// Whether all of the range is free; `None` if only part of it is.
    pub fn is_free(&self, start: u32, pages: u32) -> Option<bool> {
        let (start, end) = (u64::from(start), u64::from(start) + u64::from(pages));
        let mut touching = self.free.iter().filter(|&&(s, e)| s < end && start < e);
        match touching.next() {
            None => Some(false),
            Some(&(s, e)) => (s <= start && end <= e).then_some(true),
        }
    }

    /// Free pages from `at` on.
    pub fn head_run(&self, at: u32) -> u32 {
        let at = u64::from(at);
        let holds = |&&(s, e): &&(u64, u64)| s <= at && at < e;
        self.free
            .iter()
            .find(holds)
            .map_or(0, |e| (e.1 - at) as u32)
    }

    /// Free pages that end before `at`.
    pub fn tail_run(&self, at: u32) -> u32 {
        let at = u64::from(at);
        let holds = |&&(s, e): &&(u64, u64)| s < at && at <= e;
        self.free
            .iter()
            .find(holds)
            .map_or(0, |e| (at - e.0) as u32)
    }

    /// Start and pages of each extent.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.free.iter().map(|&(s, e)| (s as u32, (e - s) as u32))
    }

    /// Pages of the largest extent.
    pub fn largest(&self) -> u32 {
        self.iter().map(|e| e.1).max().unwrap_or(0)
    }

    /// All free pages.
    pub fn free_pages(&self) -> u32 {
        self.iter().map(|e| e.1).sum()
    }
}
