// SPDX-License-Identifier: GPL-2.0

//! Why a freed address is not used again before a flush: what a flush proves, what it must cover, and the
//! lists that wait for it. purge.rs has it done, through `Env::flush`.

pub mod epochs;
pub mod list;
pub mod plan;
