// SPDX-License-Identifier: GPL-2.0

//! The border between C and Rust, as bindgen sees it: rust/bindings/bindings.h.
//!
//! Rust calls C by the prototypes here, so that the compiler checks each call. [`export!`] defines the
//! functions that C calls, and compares each with C's prototype. Callbacks that Rust hands to C are
//! values of fields and arguments whose types come from here.

#![allow(
    clippy::all,
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

// Kbuild says where: beside the objects, which may be outside of this tree (MO=).
include!(env!("VMAPCACHE_BINDINGS"));

/// Defines functions that C calls: `extern "C"`, under the names that rust/face/exports.h declares.
///
/// Each gets a constant. Its type is the signature as written in Rust, its value is the function as
/// bindgen read it in the header. It builds only if the two are the same, to the width of each
/// argument.
macro_rules! export {
    () => {};
    (
        $(#[$attribute:meta])*
        unsafe fn $name:ident($($arg:ident: $arg_type:ty),* $(,)?) $(-> $returned:ty)? $body:block
        $($rest:tt)*
    ) => {
        const _: unsafe extern "C" fn($($arg_type),*) $(-> $returned)? = $crate::bindings::$name;

        $(#[$attribute])*
        #[no_mangle]
        unsafe extern "C" fn $name($($arg: $arg_type),*) $(-> $returned)? $body

        $crate::bindings::export! { $($rest)* }
    };
    (
        $(#[$attribute:meta])*
        fn $name:ident($($arg:ident: $arg_type:ty),* $(,)?) $(-> $returned:ty)? $body:block
        $($rest:tt)*
    ) => {
        const _: unsafe extern "C" fn($($arg_type),*) $(-> $returned)? = $crate::bindings::$name;

        $(#[$attribute])*
        #[no_mangle]
        extern "C" fn $name($($arg: $arg_type),*) $(-> $returned)? $body

        $crate::bindings::export! { $($rest)* }
    };
}

pub(crate) use export;
