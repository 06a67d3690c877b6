#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=2
TIMEOUT=200
DESCRIPTION="call each exported function, and each in-tree one that has a guard, in hard interrupts, softirqs and NMIs, and find those that are not for it refused, with one warning each"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
in_tree=1
grep -q '^guard_vfree on$' $ours/stats || in_tree=0
mark="contexts $$"
echo "$mark" >/dev/kmsg
expect_log 'WARNING: .*'
expect_log 'Call [Tt]race'
expect_log 'vmapcache: (allocation|[a-z_0-9]*\(\)) in an (interrupt|NMI), '
# Twice, and yet each is said once.
for _ in 1 2; do
	kcase contexts in_tree=$in_tree
done
areas_end

# said PLACE NAME...: each of them has been refused there, with one line
said() {
	place=$1
	shift
	for name; do
		times=$(dmesg | sed -n "/$mark/,\$p" | grep -cE "vmapcache: $name in an $place, (by|for) .*\[vmapcache_test\]")
		[ "$times" = 1 ] || fail "$name in an $place: $times lines"
	done
}

said interrupt allocation
for name in vfree_sync vunmap vm_unmap_ram vm_unmap_aliases free_vm_area remap_vmalloc_range_partial \
	either_vunmap either_vm_unmap_ram purge drain set_switch; do
	said interrupt "vmapcache_$name\\(\\)"
done
[ $in_tree = 0 ] || said interrupt 'vunmap\(\)' 'vm_unmap_ram\(\)'
if [ "$(noted nmi)" = 1 ]; then
	for name in vfree vfree_atomic either_vfree either_vfree_atomic kvfree vfree_rcu unpin; do
		said NMI "vmapcache_$name\\(\\)"
	done
	# With PREEMPT_RT, kmalloc() is for no hard interrupt either, and that came first.
	place=NMI
	case $(uname -v) in *PREEMPT_RT*) place=interrupt ;; esac
	said $place 'vmapcache_kvmalloc\(\)' 'vmapcache_kvrealloc\(\)'
	said NMI 'vrealloc\(\)'
	[ $in_tree = 0 ] || said NMI 'vfree\(\)'
fi
empty
