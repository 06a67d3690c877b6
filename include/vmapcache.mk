# SPDX-License-Identifier: GPL-2.0
#
# For the Kbuild file of a consumer in Rust, which says
#
#	vmapcache-rust := my_module.o
#	include .../include/vmapcache.mk
#
# and the crate root of my_module.o has include/vmapcache.rs as a module. bindgen makes the
# functions that it calls from vmapcache.h.

vmapcache-include := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

quiet_cmd_vmapcache_rust = BINDGEN $@
      cmd_vmapcache_rust = \
	$(BINDGEN) $< --use-core --ctypes-prefix ::kernel::ffi \
		--no-layout-tests --no-doc-comments --rust-target 1.68 \
		--allowlist-function 'vmapcache_.*' --allowlist-type 'vmapcache_.*' \
		--blocklist-type '(page|pgprot_t)' \
		--raw-line 'use ::kernel::bindings::{page, pgprot_t};' \
		-o $@ -- -D__BINDGEN__ -x c -std=gnu11 -Wp,-MMD,$(depfile)

$(obj)/vmapcache_bindings.rs: $(vmapcache-include)/vmapcache.h FORCE
	$(call if_changed_dep,vmapcache_rust)
targets += vmapcache_bindings.rs
clean-files += vmapcache_bindings.rs

$(addprefix $(obj)/,$(vmapcache-rust)): $(obj)/vmapcache_bindings.rs
$(addprefix $(obj)/,$(vmapcache-rust)): export VMAPCACHE_H_BINDINGS := $(abspath $(obj)/vmapcache_bindings.rs)
