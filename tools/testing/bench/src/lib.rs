// SPDX-License-Identifier: GPL-2.0

//! The laboratory's own tests, on the host: they measure its measuring.
//!
//! They include the module's files unchanged.

// The module calls more than the tests do.
#![allow(dead_code)]

#[path = "../../../../rust/bench/catalog.rs"]
mod catalog;
#[path = "../../../../rust/bench/histogram.rs"]
mod histogram;
#[path = "../../../../rust/bench/line.rs"]
mod line;
#[path = "../../../../rust/bench/measure.rs"]
mod measure;
#[path = "../../../../rust/bench/program.rs"]
mod program;
#[path = "../../../../rust/bench/report.rs"]
mod report;
#[path = "../../../../rust/bench/rng.rs"]
mod rng;
#[path = "../../../../rust/bench/statistics.rs"]
mod statistics;

pub mod checks;

#[cfg(test)]
mod tests {
    mod histograms;
    mod lines;
    mod loops;
    mod programs;
    mod reports;
}
