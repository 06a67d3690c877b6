/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The border between C and Rust, for bindgen, which makes rust/bindings/generated.rs
 * from it: what Rust calls in C (the header of each room, which its C files include,
 * too), and what C calls in Rust (exports.h).
 */
#include "directory.h"
#include "exports.h"
#include "face.h"
#include "pages.h"
#include "procfs.h"
#include "sys.h"
