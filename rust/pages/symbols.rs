// SPDX-License-Identifier: GPL-2.0

//! Kernel functions that no module may link: found at load, called by the C files of this room alone.
//!
//! C side: [`rust/pages/symbols.c`](symbols.c), which also says why they are static calls.

use crate::bindings;
use kernel::{error::to_result, prelude::*};

/// Finds all symbols. Once, before anything else. May sleep.
///
/// # Errors
///
/// `ENOENT`, after a line that names the symbol and the kernel options that it needs.
pub(crate) fn resolve() -> Result {
    // SAFETY: No precondition but task context, in which a module is loaded.
    to_result(unsafe { bindings::vc_symbols_resolve() })
}

/// A symbol, and how it was found.
pub(crate) struct Symbol {
    /// Its name.
    pub(crate) name: &'static CStr,
    /// What found it; `None` for an optional one that this kernel lacks.
    pub(crate) how: Option<&'static CStr>,
}

/// All symbols.
pub(crate) fn all() -> impl Iterator<Item = Symbol> {
    (0..).map_while(|index| {
        // SAFETY: `vc_symbol` takes any index. The entry is static, and nobody writes it after
        // `resolve` has returned; nobody calls this earlier.
        let symbol = unsafe { bindings::vc_symbol(index).as_ref() }?;
        let text = |s: *const kernel::ffi::c_char| {
            // SAFETY: Names and ways are string literals of symbols.c, or null.
            (!s.is_null()).then(|| unsafe { CStr::from_char_ptr(s) })
        };
        Some(Symbol {
            name: text(symbol.name)?,
            how: text(symbol.how),
        })
    })
}
