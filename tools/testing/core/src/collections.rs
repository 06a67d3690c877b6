// SPDX-License-Identifier: GPL-2.0

//! The collections in which the tests keep their models. The KUnit module has a file of this name, upon
//! the kernel's memory: tools/testing/selftests/vmapcache/modules/kunit/collections.rs.

pub use std::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    vec::Vec,
};
