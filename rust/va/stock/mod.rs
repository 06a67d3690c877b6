// SPDX-License-Identifier: GPL-2.0

//! Areas that travel together: the stock of each CPU, and the depot between them.

pub mod depot;
pub mod local;
pub mod magazine;
pub mod ordered;
