// SPDX-License-Identifier: GPL-2.0

//! The tests that the host has, too, with assertions of KUnit's. The suites are elsewhere: code that
//! `kunit_tests` makes needs the standard library's macros.

// From here on, an assertion fails the test, and is no panic.

/// As the standard library's.
macro_rules! panic {
    ($($message:tt)+) => {{
        const FILE: &core::ffi::CStr =
            match core::ffi::CStr::from_bytes_with_nul(concat!(file!(), "\0").as_bytes()) {
                Ok(file) => file,
                Err(_) => c"",
            };
        $crate::knobs::fail(FILE, line!(), format_args!($($message)+))
    }};
}

/// As the standard library's.
macro_rules! assert {
    ($condition:expr $(,)?) => {
        if !$condition {
            panic!("not so: {}", stringify!($condition))
        }
    };
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            panic!("not so: {}: {}", stringify!($condition), format_args!($($message)+))
        }
    };
}

/// As the standard library's.
macro_rules! assert_eq {
    ($left:expr, $right:expr $(,)?) => {
        assert_eq!($left, $right, "they must be equal")
    };
    ($left:expr, $right:expr, $($message:tt)+) => {
        match (&$left, &$right) {
            (left, right) => {
                if *left != *right {
                    panic!(
                        "{} is {left:?}, {} is {right:?}: {}",
                        stringify!($left),
                        stringify!($right),
                        format_args!($($message)+)
                    )
                }
            }
        }
    };
}

/// As the standard library's.
macro_rules! assert_ne {
    ($left:expr, $right:expr $(,)?) => {
        match (&$left, &$right) {
            (left, right) => {
                if *left == *right {
                    panic!("both are {left:?}")
                }
            }
        }
    };
}

#[path = "../../../../core/src/choice.rs"]
pub mod choice;
#[path = "../../../../core/src/env.rs"]
pub mod env;
#[path = "../../../../core/src/first_fit.rs"]
pub mod first_fit;
#[path = "../../../../core/src/flushes.rs"]
pub mod flushes;
#[path = "../../../../core/src/look.rs"]
pub mod look;
#[path = "../../../../core/src/model.rs"]
pub mod model;
#[path = "../../../../core/src/pair.rs"]
pub mod pair;
#[path = "../../../../core/src/rows.rs"]
pub mod rows;
#[path = "../../../../core/src/sorted.rs"]
pub mod sorted;
#[path = "../../../../core/src/sorts.rs"]
pub mod sorts;
