#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=200
LONG="Python and the program start anew for each scrape"
DESCRIPTION="scrape the program vmapcache while areas come and go and when the module goes, and compare with debugfs"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

needs_tool
[ -d /proc/sys/net/ipv4 ] || skip "this kernel has no IP"
# A VM without a network has not even that up.
python3 - <<'END' || fail "no interface lo"
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any:
    name, flags = struct.unpack("16sh22x", fcntl.ioctl(any, 0x8913, struct.pack("16sh22x", b"lo", 0)))  # SIOCGIFFLAGS
    fcntl.ioctl(any, 0x8914, struct.pack("16sh22x", name, flags | 1))  # SIOCSIFFLAGS, IFF_UP
END

own
mkdir "$TMP/textfile"
"$TOOL" export --listen 127.0.0.1:9757 2>"$TMP/err" &
program=$!
trap 'kill $program 2>/dev/null' EXIT
tenths=0
until grep -q http "$TMP/err"; do
	tenths=$((tenths + 1))
	[ $tenths -lt $((200 * SLOWNESS)) ] || fail "it does not begin: $(cat "$TMP/err")"
	sleep 0.1
done

# scrape [FORMAT]: leaves the answer in $TMP/scrape, prints its status
scrape() {
	python3 - "$TMP/scrape" "${1:-*/*}" <<'END'
import sys, urllib.error, urllib.request
request = urllib.request.Request("http://127.0.0.1:9757/metrics", headers={"Accept": sys.argv[2]})
try:
    answer = urllib.request.urlopen(request, timeout=60)
except urllib.error.HTTPError as error:
    answer = error
with open(sys.argv[1], "wb") as file:
    file.write(answer.read())
print(answer.status)
END
}

# has LINE: the scrape has it
has() {
	grep -qx -- "$1" "$TMP/scrape" || fail "no line $1: $(grep "^${1%% *}" "$TMP/scrape")"
}

for pairs in 20 300; do
	kcase pairs count=$pairs threads=1 pages=4
	[ "$(scrape)" = 200 ] || fail "$(cat "$TMP/scrape")"
	for key in allocations frees failures purges; do
		has "vmapcache_${key}_total $(stat $key)"
	done
	has "vmapcache_live_bytes $(stat bytes_live)"
	has "vmapcache_arena_bytes $(stat bytes_arena)"
	has "vmapcache_build_info{version=\"$(cat /sys/module/vmapcache/version)\"} 1"
	grep -q '^vmapcache_caller_allocations_total{function="[a-z_]*",module="vmapcache_test"} ' "$TMP/scrape" ||
		fail "no caller: $(grep caller "$TMP/scrape")"
done
[ "$(scrape application/openmetrics-text)" = 200 ] || fail "OpenMetrics"
has '# EOF'
[ ! -e $ours/takeover/stats ] || grep -q '^vmapcache_takeover_calls_total{' "$TMP/scrape" || fail "no takeover"
"$TOOL" export --textfile "$TMP/textfile" --once || fail "a file"
grep -qx "vmapcache_allocations_total $(stat allocations)" "$TMP/textfile/vmapcache.prom" || fail "another file"

# It holds nothing of the module, and says that it is gone.
unload
[ "$(scrape)" = 503 ] || fail "without a module: $(cat "$TMP/scrape")"
has '.*vmapcache.ko is not loaded.*'
"$TOOL" export --textfile "$TMP/textfile" --once && fail "a file of no module"
[ -z "$(ls -A "$TMP/textfile")" ] || fail "the old file stays"
load
[ "$(scrape)" = 200 ] || fail "a new module: $(cat "$TMP/scrape")"
kill -TERM $program
wait $program
status=$?
[ $status = 143 ] || fail "status $status"
unload
nothing_left
