// SPDX-License-Identifier: GPL-2.0

//! Who allocated what: each CPU counts for itself.

pub mod callers;
pub mod counters;
