// SPDX-License-Identifier: GPL-2.0

//! The kernel's trace buffers, as they are: pages of events.
//!
//! [`page`] finds the events in a page, [`layout`] their fields, as tracefs tells them; [`print`](mod@print) writes an
//! event as tracefs prints it, with the names of functions from [`symbols`]. [`reader`] follows the buffers of all CPUs.

pub mod layout;
pub mod page;
pub mod print;
pub mod reader;
pub mod symbols;
