#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# prototypes.sh SRCTREE SRCARCH: prints the compiler flags that say how this kernel
# declares the functions that symbols.h calls without a public declaration.
#
# vmap_pages_range_noflush() and vunmap_range_noflush() are declared in mm/ alone, in
# internal.h until 7.2 and in vmalloc.h since, and the first grew an argument;
# flush_tlb_kernel_range() is hidden from modules on x86, and static inline on arm64. This script reads them in the source
# of the kernel that the module is built for. An unknown form is an error: a wrong guess
# would corrupt page tables.

set -eu

if [ "${1-}" = --help ] || [ $# -ne 2 ]; then
	sed -n 's/^# \{0,1\}//; 3,12p' "$0"
	exit 0
fi
tree=$1
arch=$2

# The declaration of function $1, without white space.
declaration()
{
	cat "$tree/mm/vmalloc.h" "$tree/mm/internal.h" \
	    "$tree/arch/$arch/include/asm/tlbflush.h" 2>/dev/null |
		tr -s '\n\t ' '   ' | grep -o "[ *]$1([^)]*);" | head -n 1 | sed 's/^\*//' | tr -d ' '
}

unknown()
{
	if [ -n "$2" ]; then
		echo "vmapcache: unknown prototype of $1: $2" >&2
	else
		echo "vmapcache: $1 is not declared in $tree: KDIR must be a kernel source tree" >&2
	fi
	exit 1
}

map=$(declaration vmap_pages_range_noflush)
common='unsignedlongaddr,unsignedlongend,pgprot_tprot,structpage**pages,unsignedintpage_shift'
case $map in
"vmap_pages_range_noflush($common,gfp_tgfp_mask);") echo "-DVMAPCACHE_MAP_TAKES_GFP" ;;
"vmap_pages_range_noflush($common);") ;;
*) unknown vmap_pages_range_noflush "$map" ;;
esac

range='(unsignedlongstart,unsignedlongend)'
found=$(declaration vunmap_range_noflush)
[ "$found" = "vunmap_range_noflush$range;" ] || unknown vunmap_range_noflush "$found"

found=$(declaration flush_tlb_kernel_range)
if [ -z "$found" ]; then
	inline=$(tr -s '\n\t ' '   ' <"$tree/arch/$arch/include/asm/tlbflush.h" 2>/dev/null |
		grep -o 'static inline void flush_tlb_kernel_range([^)]*) *{' | tr -d ' ')
	case $inline in
	"staticinlinevoidflush_tlb_kernel_range$range{") echo "-DVMAPCACHE_FLUSH_IS_INLINE" ;;
	*) unknown flush_tlb_kernel_range "$inline" ;;
	esac
elif [ "$found" != "flush_tlb_kernel_range$range;" ]; then
	unknown flush_tlb_kernel_range "$found"
fi

# The laboratory asks the in-tree allocator for aligned areas with it. Some kernels say
# vm_flags, some flags.
found=$(declaration __get_vm_area_node | sed 's/vm_flags/flags/')
common='unsignedlongsize,unsignedlongalign,unsignedlongshift,unsignedlongflags'
common="$common,unsignedlongstart,unsignedlongend,intnode,gfp_tgfp_mask,constvoid*caller"
case $found in
"__get_vm_area_node($common);") ;;
*) unknown __get_vm_area_node "$found" ;;
esac

# Exported, declared in mm/ alone; only kernels with KASAN miss it.
found=$(tr -s '\n\t ' '   ' <"$tree/mm/kasan/kasan.h" 2>/dev/null |
	grep -o ' kasan_poison([^)]*);' | head -n 1 | tr -d ' ')
if [ "$found" = "kasan_poison(constvoid*addr,size_tsize,u8value,boolinit);" ]; then
	echo "-DVMAPCACHE_HAS_KASAN_POISON"
fi

# Frees pages in runs; since 7.3. The compiler checks the call against the header.
if grep -q ' free_pages_bulk(struct page ' "$tree/include/linux/gfp.h"; then
	echo "-DVMAPCACHE_HAS_FREE_PAGES_BULK"
fi

# Counts pages of vmalloc() per node and memcg; since 7.3.
if grep -q '^[[:space:]]NR_VMALLOC,' "$tree/include/linux/mmzone.h"; then
	echo "-DVMAPCACHE_HAS_NR_VMALLOC"
fi
