// SPDX-License-Identifier: GPL-2.0

//! The border between C and Rust, as bindgen sees it: rust/bindings/bindings.h.
//!
//! What Rust calls in C has its prototype from here, so that the compiler checks each call. What C
//! calls in Rust is written with [`export!`], which compares it with the prototype that C has.
//! Callbacks that Rust hands to C are values of fields and arguments that have their type from here.

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

// Kbuild says where: beside the objects, which need not lie in this tree (MO=).
include!(env!("VMAPCACHE_BINDINGS"));

/// Defines functions that C calls: `extern "C"`, under the names that rust/face/exports.h declares.
///
/// For each there is a constant whose type is the signature as written here, and whose value is the
/// function as bindgen read it in the header. It does not build unless the two are the same, to the
/// width of each argument.
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
