// SPDX-License-Identifier: GPL-2.0

//! Sizes for people.

/// Bytes in the largest unit of which there is at least one.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value.fract() == 0.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(
            [0, 1023, 4096, 1 << 20, 3 << 29].map(bytes),
            ["0 B", "1023 B", "4 KiB", "1 MiB", "1.5 GiB"]
        );
    }
}
