# SPDX-License-Identifier: GPL-2.0
#
# What a person types. What the kernel's build system reads is in Kbuild.

# `make help` prints the ## comments.

KDIR =
VM_KERNEL = stock
KERNEL_SERIES =
VM_CPUS = 2
VM_MEM = 2G
VM_TIMEOUT = 900
RUNNER = vm

FUZZ_SECONDS = 60

export KERNEL_SERIES VM_CPUS VM_MEM FUZZ_SECONDS CHECK_MINUTES MINUTES
export VM_COMMAND := $(value CMD)

# A KDIR of one's own, the running kernel's where Rust modules can be built for it,
# or the stock kernel of the sandbox.
running := /lib/modules/$(shell uname -r)/build
ifeq ($(KDIR),)
ifneq ($(wildcard $(running)/rust/libkernel.rmeta),)
ifneq ($(shell command -v rustc),)
KDIR := $(running)
endif
endif
endif
kernel = $(or $(KDIR),stock $(KERNEL_SERIES))

# Variables on make's command line that none of these targets knows are for the build of the modules:
# any, for a kernel of one's own, else those that the sandbox's kernels can be built with. The rest are
# mistakes.
ours := KDIR VM_KERNEL KERNEL_SERIES VM_CPUS VM_MEM VM_TIMEOUT RUNNER CMD CPUS FAULTS QUICK INSTRUCTIONS \
	CHECK_MINUTES FUZZ_SECONDS MINUTES OLD SEED SET SECONDS TARGET USE WORKLOADS
for_modules := V W C KCFLAGS KRUSTFLAGS
given := $(filter-out $(ours),$(foreach v,$(.VARIABLES),$(if $(findstring command,$(origin $v)),$v)))
given := $(filter-out -% MAKE%,$(given))
ifeq ($(KDIR),)
ifneq ($(filter-out $(for_modules),$(given)),)
$(error $(filter-out $(for_modules),$(given)): no such variable here. There are $(ours) $(for_modules); see `make help`)
endif
endif
ifneq ($(given),)
export MODULE_MAKE := $(foreach v,$(given),$v='$(subst ','\'',$(value $v))')
endif

modules: ## vmapcache.ko and vmapcache_bench.ko for KDIR=, else for the running kernel, else for the sandbox's stock kernel
	@echo "building for $(or $(KDIR),the stock kernel of the sandbox)"
	@built=$$(scripts/modules $(kernel)) && echo "$$built/vmapcache.ko" && echo "$$built/vmapcache_bench.ko"

vm: ## boots VM_KERNEL=stock|rt|cloud|arm64|arm64-16k|rt-arm64|debug|cfi|PATH, runs CMD='...' (none: a shell) there as root in this folder (VM_CPUS= VM_MEM= VM_TIMEOUT= KERNEL_SERIES= FAULTS=y RUNNER=vng)
	@case "$(RUNNER)" in vm | vng) ;; *) echo "RUNNER=$(RUNNER): there are vm and vng" >&2; exit 2 ;; esac; \
	scripts/$(RUNNER) --kernel "$(VM_KERNEL)" --series "$(KERNEL_SERIES)" --cpus "$(VM_CPUS)" \
		--memory "$(VM_MEM)" --timeout "$(VM_TIMEOUT)" $(if $(filter y,$(FAULTS)),--faults,--modules) "$$VM_COMMAND"

demo: ready ## the main job: a short A/B comparison in the VM, as a table
	@scripts/vm --kernel "$(VM_KERNEL)" --series "$(KERNEL_SERIES)" --alone "$(tool) demo"

bench: ready ## the whole A/B comparison: tables, data in build/bench.json, and the tables of the last make live (QUICK=1: in 3 minutes, data in build/bench-quick.json; INSTRUCTIONS=1: only counts instructions, in a second boot)
	@$(if $(INSTRUCTIONS),true,scripts/vm --kernel "$(VM_KERNEL)" --series "$(KERNEL_SERIES)" \
		--cpus "$(VM_CPUS)" --memory "$(VM_MEM)" --timeout 7200 --alone \
		"$(tool) bench $(if $(QUICK),--quick --out build/bench-quick.json)")
	@$(if $(QUICK),true,scripts/vm --kernel "$(VM_KERNEL)" --series "$(KERNEL_SERIES)" \
		--memory "$(VM_MEM)" --instructions --alone "$(tool) bench --instructions")
	@$(if $(QUICK),true,scripts/live --show)

native: ## both allocators' object code on this machine's real cores, in one ordinary program: a table, data in build/native.json (QUICK=1: fewer runs; CPUS=: not on all)
	@scripts/native $(if $(QUICK),--quick) $(if $(CPUS),--cpus "$(CPUS)")

OLD =
report: tool ## build/report.html: one page of the data of make native, make bench and make live (OLD=FILE: what changed since older data of one of them; fails after a loss)
	@$(tool) report $(if $(OLD),--compare "$(OLD)")

# On a fresh machine each takes minutes, and neither needs the other. The modules take longer, with the
# kernel that they are for, and one of their compilers leaves a CPU idle.
ready:
	@scripts/sandbox --prepare
	+@$(MAKE) --no-print-directory -j2 demo-tool demo-modules

demo-modules:
	@. scripts/kinds.sh; ! is_kernel "$(VM_KERNEL)" || scripts/modules --alone "$(VM_KERNEL)" $(KERNEL_SERIES) >/dev/null

tool = tools/vmapcache/target/release/vmapcache
tool: ## the program vmapcache, which also runs outside of the sandbox: tools/vmapcache/target/release/vmapcache
	@scripts/tool >/dev/null

demo-tool:
	@nice scripts/tool --demo >/dev/null

samples: ## the consumers in samples/, in C and in Rust, built for the stock kernel
	@built=$$(scripts/modules stock $(KERNEL_SERIES)) && ls $$built/samples/*.ko

package: ## vmapcache-dkms and vmapcache-tools, packages for Debian 13, in build/package
	@scripts/package

check-package: ## installs the packages in a bare Debian 13, lets DKMS build, loads the modules in the VM, removes everything again: 10 minutes
	@tools/testing/package/run

doc: ## build/doc: HTML of Documentation/ and of the sources' comments, by Sphinx, kernel-doc and rustdoc; a warning is an error
	@scripts/sandbox scripts/doc

rust-analyzer: ## makes rust-project.json for editors
	@scripts/sandbox scripts/rust-analyzer

check: ## the tests for each change, from a bare machine: check-core, check-stock (CHECK_MINUTES= at most)
	@scripts/check core stock

check-core: ## tests without a VM: formatting, lints, host tests, models, litmus tests, object code, the scripts
	@scripts/check core

check-stock: ## the kselftests on the stock kernel in VMs, but for the long ones (KERNEL_SERIES=7.2 for another series)
	@scripts/check stock

check-long: ## what takes longer: fuzzing (FUZZ_SECONDS=60), the other kselftests on the stock kernel, some in a VM with 256 MB or with two NUMA nodes, the VM, make demo and vmapcache top in a terminal (KERNEL_SERIES=7.2 for another series)
	@scripts/check long

check-rt: ## the kselftests on the stock kernel with PREEMPT_RT in the VM (KERNEL_SERIES=7.2 for another series)
	@scripts/check rt

check-vng: ## a few kselftests on the stock kernel in a VM of virtme-ng
	@scripts/check vng

check-arm64: ## the kselftests on the stock kernel for arm64 in the VM, all of it cross-built, and its object code (KERNEL_SERIES=7.2 for another series)
	@scripts/check arm64

check-rt-arm64: ## the same on the stock kernel for arm64 with PREEMPT_RT (KERNEL_SERIES=7.2 for another series)
	@scripts/check rt-arm64

check-cloud: ## the kselftests on the stock kernel for virtual machines alone, with modules of 9p that are built for it (KERNEL_SERIES=7.2 for another series)
	@scripts/check cloud

check-older: ## the kselftests on the stock kernel of the series 7.2 in the VM
	@scripts/check older

check-all: ## check-core, check-stock, check-long, check-vng and then the other parts, beginning with another one at each commit (CHECK_MINUTES= at most); notes for scripts/tested
	@scripts/check --all

check-debug: ## the kselftests on the debug kernel in the VM, torture for MINUTES=5
	@scripts/check debug

MINUTES = 5
SEED = 1
torture: ## the torture run on the debug kernel, or VM_KERNEL=stock (MINUTES=5 SEED=1)
	@scripts/vm --kernel "$(if $(filter file,$(origin VM_KERNEL)),debug,$(VM_KERNEL))" \
		--cpus "$(VM_CPUS)" --memory "$(VM_MEM)" --timeout $$(($(MINUTES) * 120 + 600)) --modules \
		"LIMIT=$$(($(MINUTES) * 60 + 300)) MINUTES=$(MINUTES) SEED=$(SEED) \
		tools/testing/selftests/vmapcache/run torture"

USE =
drivers: ## builds drivers of the stock kernel against the drop-in header and uses them in the VM, with guards and without; takes 30 minutes (USE='f2fs zram': only these uses)
	@scripts/drivers $(USE)

WORKLOADS =
live: ## runs unmodified workloads in the VM (file systems, bpf, sockets, tasks, ...), by turns on both allocators: tables, data in build/live.json (QUICK=1: fewer rounds, data in build/live-quick.json; CPUS='1 2 8': numbers of CPUs; WORKLOADS='nft bpf-arrays': only these; VM_KERNEL=debug: on KASAN and lockdep, says only what fails, data in build/live-debug.json)
	@scripts/live $(if $(QUICK),--quick) $(if $(filter debug,$(VM_KERNEL)),--debug) $(if $(CPUS),--cpus "$(CPUS)") $(WORKLOADS)

SET =
JOBS =
mutants: ## makes deliberate faults, and checks that the tests catch each of them (SET=core|bench|scripts|kernel, or words of a fault's name; JOBS= at a time)
	@scripts/sandbox tools/testing/mutants/run $(if $(JOBS),-j $(JOBS)) $(if $(SET),"$(SET)")

SECONDS = 3600
TARGET = all
fuzz: ## libFuzzer on the area manager, its parts and all input parsing, SECONDS= each (TARGET=all)
	@scripts/sandbox tools/testing/core/fuzz.sh $(TARGET) $(SECONDS)

# What only a run of hours brings back is no litter.
results = build/bench.json build/bench-quick.json build/live.json build/live-quick.json build/live-debug.json build/native.json build/fuzz
clean: ## removes what was built here, and names it (keeps the cache, the data of `make bench`, `make live` and `make native`, the finds of the fuzzer)
	@for file in build/* build/.[!.]*; do \
		case " $(results) " in *" $$file "*) continue ;; esac; \
		[ ! -e "$$file" ] || { rm -rf "$$file" && echo "removed $$file"; }; \
	done
	@[ ! -d build ] || rmdir build 2>/dev/null || echo "kept: $$(echo build/*); rm -r build removes them"
	@find . -name target -type d -prune | while read -r folder; do \
		[ ! -e "$$folder/.rustc_info.json" ] || { rm -rf "$$folder" && echo "removed $$folder"; }; \
	done
	@find . \( -name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' -o -name '.*.cmd' \
		-o -name Module.symvers -o -name modules.order \) -not -path './build/*' -print -delete | sed 's/^/removed /'
	@rm -f rust/bindings/generated.rs rust/bench/generated.rs samples/vmapcache_bindings.rs rust-project.json

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

.PHONY: modules vm demo bench native report ready demo-modules tool demo-tool samples package check-package doc rust-analyzer check check-core check-stock check-long check-rt check-arm64 check-rt-arm64 check-cloud check-older check-all check-debug torture drivers live mutants fuzz clean help
