// SPDX-License-Identifier: GPL-2.0

//! Counters per CPU, caller and size: each CPU counts for itself.

pub mod callers;
pub mod counters;
