// SPDX-License-Identifier: GPL-2.0

//! The number that debugfs files take.
//!
//! Plain safe Rust without a kernel type, so that tools/testing/core/fuzz can feed it.

/// Longest text, in bytes: ten digits and a newline, with room for zeros in front.
pub(crate) const MAX: usize = 16;

/// The number that is alone in `text`, but for a newline at its end: digits only, without sign,
/// space or base.
pub(crate) fn parse(text: &[u8]) -> Option<u32> {
    let digits = text.strip_suffix(b"\n").unwrap_or(text);
    if digits.is_empty() || text.len() > MAX {
        return None;
    }
    digits.iter().try_fold(0u32, |number, digit| {
        let value = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(value)
    })
}
