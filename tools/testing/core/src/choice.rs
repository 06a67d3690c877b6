// SPDX-License-Identifier: GPL-2.0

//! The source of a random test's decisions: a seed, or the bytes of a fuzzer.

/// A source of decisions.
pub trait Choice {
    /// A number below `n`, or 0.
    fn below(&mut self, n: u32) -> u32;

    /// True `n` times of 100.
    fn percent(&mut self, n: u32) -> bool {
        self.below(100) < n
    }
}

/// Random numbers that are the same on every run (xorshift64*).
pub struct Rng(u64);

impl Rng {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
}

impl Choice for Rng {
    fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let random = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        ((u128::from(random) * u128::from(n)) >> 64) as u32
    }
}

/// Decisions read from bytes, 0 at their end.
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    /// Whether there are none left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Choice for Bytes<'_> {
    fn below(&mut self, n: u32) -> u32 {
        let width = match n {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        let (head, rest) = self.0.split_at(width.min(self.0.len()));
        self.0 = rest;
        let value = head.iter().fold(0u32, |v, &b| v << 8 | u32::from(b));
        value.checked_rem(n).unwrap_or(0)
    }
}
