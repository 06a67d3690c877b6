#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
DESCRIPTION="choose by takeover's files what is taken over and whose calls, and see each call served where it must be, with its true caller"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

can_take_over

# changes KEY NUMBER LINE...: the line makes the statistics of takeover grow by that
changes() {
	key=$1 by=$2
	shift 2
	was=$(taken "$key")
	user "$@"
	[ $(($(taken "$key") - was)) = "$by" ] || fail "$*: $key grew by $(($(taken "$key") - was)), not by $by"
}

# refuses FILE TEXT...: each text is refused, and the file shows the same as before
refuses() {
	file=$takeover/$1
	shown=$(cat "$file")
	shift
	for text; do
		if printf '%s\n' "$text" 2>/dev/null >"$file"; then
			fail "$file took '$text'"
		fi
	done
	[ "$(cat "$file")" = "$shown" ] || fail "$file has changed to $(cat "$file")"
}

[ "$(cat $takeover/what)" = "vmap vm_map_ram vmalloc" ] || fail "what is '$(cat $takeover/what)'"
[ "$(cat $takeover/filter)" = all ] || fail "filter is '$(cat $takeover/filter)'"
refuses enable '' ON 'on on' 'on ' ' on' yes 1
refuses what '' vmap,vmalloc 'vmap  vmalloc' 'none vmap' 'vmap none' all stack
refuses filter '' '!' '[]' '[' '[x' 'x]' '!![x]' 'no_such_function' '[a b]' 'vmap_no such' 'all all' '![a' jiffies \
	"[$(head -c 70 /dev/zero | tr '\0' a)]" "$(head -c 600 /dev/zero | tr '\0' a)"

# Each test below concerns the unaware user alone.
echo '[unaware]' >$takeover/filter || fail "filter"
[ "$(cat $takeover/filter)" = '[unaware]' ] || fail "filter is '$(cat $takeover/filter)'"
echo on >$takeover/enable || fail "on"

# Everything that can be taken over is, and nothing else.
changes vmap_redirected 10 hold vmap 10 3
changes vmap_redirected 5 hold given 5 2
changes vm_map_ram_redirected 10 hold vm_map_ram 10 7
changes vmalloc_redirected 10 hold vmalloc 10 40
changes vmalloc_redirected 10 hold atomic 10 1
changes vmalloc_redirected 10 hold user 10 2
changes vmalloc_zone 3 hold dma32 3 2
changes vmalloc_redirected 1 hold huge 1 512
changes vmalloc_redirected 1 hold huge 1 2
[ "$(taken areas_held)" = 57 ] || fail "$(taken areas_held) areas are held: $(cat $takeover/holders)"
bytes=$(((30 + 10 + 70 + 400 + 10 + 20 + 512 + 2) * page_bytes))
[ "$(taken bytes_held)" = $bytes ] || fail "$(taken bytes_held) bytes are held, not $bytes"
# The true caller, in each file.
cat $takeover/holders
caller=$(sed -n 's/.* \([a-z_]*\) \[unaware\]$/\1/p' $takeover/holders | head -n 1)
if grep -v '^#' $takeover/holders | grep -v '\[unaware\]$'; then
	fail "that is no true caller"
fi
[ "$(awk '!/^#/ { n += $2 } END { print n }' $takeover/holders)" = 57 ] || fail "holders: $(cat $takeover/holders)"
grep -q '\[unaware\]$' $ours/callers || fail "callers: $(cat $ours/callers)"
# As in-tree, vm_map_ram() shows no caller.
[ "$(grep -c '\[unaware\]' /proc/vmapcacheinfo)" = 47 ] || fail "$(cat /proc/vmapcacheinfo)"
if grep -E 'hook_|try_vm|take_vm' $ours/callers /proc/vmapcacheinfo; then
	fail "a hook is no caller"
fi
user check
user release
[ "$(taken areas_held)" = 0 ] || fail "$(cat $takeover/holders)"

# What is not asked for.
echo "vm_map_ram" >$takeover/what || fail "what"
[ "$(cat $takeover/what)" = vm_map_ram ] || fail "what is '$(cat $takeover/what)'"
changes vmap_redirected 0 hold vmap 4 3
changes vmalloc_redirected 0 hold vmalloc 4 3
changes vm_map_ram_redirected 4 hold vm_map_ram 4 3
echo none >$takeover/what || fail "what"
[ "$(cat $takeover/what)" = none ] || fail "what is '$(cat $takeover/what)'"
changes vm_map_ram_redirected 0 hold vm_map_ram 4 3
echo "vmalloc vmap vm_map_ram" >$takeover/what || fail "what"
user release

# Whose calls.
echo '![unaware]' >$takeover/filter || fail "filter"
changes vmap_redirected 0 hold vmap 4 3
changes vmap_filter 4 hold vmap 4 3
echo '[another-module] do_set' >$takeover/filter || fail "filter"
[ "$(cat $takeover/filter)" = '[another_module] do_set' ] || fail "filter is '$(cat $takeover/filter)'"
changes vmalloc_filter 4 hold vmalloc 4 3
# Compilers differ in what they inline. Of two functions with one name, the filter may take the other.
if [ "$(grep -c " $caller\>" /proc/kallsyms)" = 1 ]; then
	echo "$caller" >$takeover/filter || fail "filter"
	changes vmalloc_redirected 4 hold vmalloc 4 3
	echo "[unaware] !$caller" >$takeover/filter || fail "filter"
	changes vmalloc_redirected 0 hold vmalloc 4 3
	# Its code goes, and the rule with it.
	user release
	rmmod unaware || fail "rmmod unaware"
	insmod "$TMP/unaware.ko" || fail "insmod unaware.ko"
	changes vmalloc_redirected 4 hold vmalloc 4 3
fi
echo all >$takeover/filter || fail "filter"
changes vm_map_ram_redirected 4 hold vm_map_ram 4 3
user release

# The kernel crate's allocators, and so vmapcache's own, call kvrealloc(). It is too much for kmalloc(). The in-tree
# allocator calls itself once more, for its array of the pages.
own=$(taken vmalloc_own)
changes vmalloc_redirected 0 hold kvrealloc 1 1100
[ "$(taken vmalloc_own)" -gt "$own" ] || fail "a call of kvrealloc() was not counted"
user release
takeover_ends
areas_end
unload
nothing_left
