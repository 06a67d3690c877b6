// SPDX-License-Identifier: GPL-2.0

//! One area: its descriptor, and how an address leads to it.

pub mod class;
pub mod descriptor;
pub mod descriptors;
pub mod index;
pub mod link;

pub use descriptor::{Descriptor, Found, Id, Kill, Kind, Origin, Snapshot, Unpin, NO_ID};
pub use descriptors::Descriptors;
pub use link::Link;
