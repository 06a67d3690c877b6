// SPDX-License-Identifier: GPL-2.0

//! Repeatable random numbers: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
//!
//! Both sides of a comparison get the same sequence. Plain safe Rust without a kernel type.

pub(crate) struct Rng(u64);

impl Rng {
    /// A sequence of its own for each thread of a seed.
    pub(crate) fn new(seed: u32, thread: u32) -> Rng {
        Rng((u64::from(seed) << 32) | u64::from(thread))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `min..=max`; `min` if the range is empty.
    pub(crate) fn within(&mut self, min: u32, max: u32) -> u32 {
        let width = u64::from(max.saturating_sub(min)) + 1;
        // The high half of a 32 x 32 bit product: even enough, and no division.
        min.saturating_add((((self.next() >> 32) * width) >> 32) as u32)
    }
}
