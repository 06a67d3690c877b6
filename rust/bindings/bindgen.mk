# SPDX-License-Identifier: GPL-2.0
#
# For Kbuild files: bindgen on a header of the border between C and Rust, which finds others in
# $(border-headers). Headers see nothing of the kernel under bindgen, so none of the kernel's
# compiler flags is needed, and gcc and clang kernels are served alike. Clang notes which headers it
# has read, for make.

quiet_cmd_vmapcache_bindgen = BINDGEN $@
      cmd_vmapcache_bindgen = \
	$(BINDGEN) $< --use-core --ctypes-prefix ::kernel::ffi \
		--no-layout-tests --no-doc-comments --rust-target 1.68 \
		--allowlist-function '(vc|vmapcache)_.*' --allowlist-type '(vc|vmapcache)_.*' \
		--allowlist-var 'VC_.*' --newtype-enum 'vc_(misuse|row_kind|bad_pages)' $(bindgen-types) \
		-o $@ -- -D__BINDGEN__ -x c -std=gnu11 -Wp,-MMD,$(depfile) $(border-headers)
