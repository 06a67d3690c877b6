# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# keep.sh sources this file. It shows a user how far a long step is.
#
# The output of a step's command goes to a log; if the command fails, the user sees the end of it.
# On a terminal the step is one line, rewritten each second; elsewhere it is a line at its
# start and one every 30 seconds. The command runs in the foreground, so that Ctrl-C and Ctrl-Z
# reach it; a process in the background watches how far it is.
#
# The time left comes from the last run like this one: $cache/log/last/NAME has pairs of seconds and
# lines, which say when its log had how many lines.

me=${0##*/}
steps_logs= # where logs go, set by who sources this
patience=0  # seconds that a step may take before it is shown at all
measure=    # a command that prints "BYTES-DONE BYTES-IN-ALL" for the step
hint=       # what to do if the step fails
undo=       # what to run when a signal ends this
watcher=

# The next file opened would take the place of a closed standard stream.
true 3>&2 || exec 2>/dev/null
{ true 3<&0; } 2>/dev/null || exec </dev/null
{ true 3>&1; } 2>/dev/null || exec >/dev/null
# Standard error of a step is its log.
exec 7>&2

terminal=
if [ -t 2 ] && [ "${TERM:-dumb}" != dumb ]; then
	terminal=yes
fi

# say TEXT...: prints a line for the user
say() {
	if [ -n "$terminal" ]; then
		printf '\r\033[K%s: %s\n' "$me" "$*" >&7
	else
		echo "$me: $*" >&7
	fi || : # the terminal may be gone
}

die() {
	say "$*"
	exit 1
}

# outside: turns the sandbox's file names into those that the user knows
outside() {
	sed "s|/run/vmapcache/tree|$(echo "${VMAPCACHE_TREE:-/run/vmapcache/tree}" | sed 's/[&|\\]/\\&/g')|g"
}

# describe NAME SECONDS LINES: prints "43 %, 0:25, about 0:35 left" for a step that has run for
# these SECONDS, and whose log has these LINES
describe() {
	last=/dev/null
	# shellcheck disable=SC2154 # cache is set by keep.sh
	[ ! -s "$cache/log/last/$1" ] || last=$cache/log/last/$1
	done_of=
	[ -z "$measure" ] || done_of=$($measure 2>/dev/null) || done_of=
	awk -v elapsed="$2" -v lines="$3" -v usual="$usual" -v done_of="$done_of" '
		function clock(s) { s = int(s); return sprintf("%d:%02d", s / 60, s % 60) }
		# reached(l): when the last run had l lines
		function reached(l,  i) {
			for (i = 1; i < n && line[i] < l; i++)
				;
			if (line[i] <= line[i - 1] || l >= line[i])
				return time[i]
			return time[i - 1] + (time[i] - time[i - 1]) * (l - line[i - 1]) / (line[i] - line[i - 1])
		}
		BEGIN { numbers = split(usual, first, " "); time[0] = line[0] = 0 }
		{ n++; time[n] = $1; line[n] = $2 }
		END {
			if (n == 0)
				for (i = 1; i < numbers; i += 2) {
					n++; time[n] = first[i]; line[n] = first[i + 1] + 0
				}
			total = time[n]
			text = clock(elapsed)
			if (split(done_of, bytes, " ") == 2 && bytes[2] > 0) {
				part = bytes[1] / bytes[2]
				if (part > 1)
					part = 1
				text = sprintf("%d of %d MB, %s", bytes[1] / 1e6, bytes[2] / 1e6, text)
				left = part > 0.02 ? elapsed * (1 - part) / part : -1
			} else if (total > 0) {
				from = line[n] ? reached(lines) : 0
				to = line[n] ? reached(lines + 1) : total
				there = elapsed < from ? from : elapsed > to ? to : elapsed
				slower = (elapsed + 5) / (there + 5)
				left = (total - there) * (slower < 3 ? slower : 3)
				if (there < total)
					text = sprintf("%d %%, %s", 100 * there / total, text)
				else
					left = -1
			} else
				left = -1
			if (left >= 0)
				text = text ", about " clock(left + 0.5) " left"
			print text
		}' "$last"
}

# width: prints the terminal's columns of now, or 80 if it does not know
width() {
	columns=$(stty size <&7 2>/dev/null) || columns=
	columns=${columns#* }
	[ "${columns:-0}" -gt 0 ] || columns=80
}

# own_line: whether this step has the terminal's line. Of two steps at the same time, one has it.
own_line() {
	[ -z "$owned" ] || return 0
	if [ "$line_lock" = none ] || flock -n 8; then
		owned=yes
	fi
	[ -n "$owned" ]
}

# watch NAME LABEL LOG: shows the line, in the background, while the step runs
watch() {
	exec 9>&-
	nap=
	began=$(date +%s)
	watched=$3 # in a function, the trap sees that one's arguments
	trap '[ -z "$nap" ] || kill "$nap" 2>/dev/null || :
		echo "$(($(date +%s) - began)) $(wc -l <"$watched")" >>"$watched.times"
		exit 0' USR1
	before=$began shown=-30 owned='' line_lock=none had=-1
	if [ -n "$terminal" ] && device=$(tty <&7) && { true <"$device"; } 2>/dev/null; then
		exec 8<"$device"
		line_lock=8
	fi
	: >"$3.times"
	while kill -0 $$ 2>/dev/null; do
		time=$(date +%s)
		# Ctrl-Z had stopped it: that time does not count.
		[ $((time - before)) -lt 10 ] || began=$((began + time - before))
		before=$time
		elapsed=$((time - began))
		lines=$(wc -l <"$3")
		[ "$lines" = "$had" ] || echo "$elapsed $lines" >>"$3.times"
		had=$lines
		if [ "$elapsed" -lt "$patience" ]; then
			:
		elif [ -z "$terminal" ]; then
			if [ $((elapsed - shown)) -ge 30 ]; then
				if [ "$shown" -lt 0 ]; then
					say "$2"
					shown=$((elapsed - elapsed % 30))
				else
					say "$2: $(describe "$1" "$elapsed" "$lines")"
					shown=$elapsed
				fi
			fi
		elif own_line; then
			text=$(describe "$1" "$elapsed" "$lines")
			width
			label="$me: $2"
			space=$((columns - 3 - ${#text}))
			if [ "$space" -lt ${#label} ]; then
				[ "$space" -gt 0 ] || space=0
				label=$(printf '%.*s' "$space" "$label")
			fi
			printf '\r%.*s\033[K' $((columns - 1)) "$label, $text" >&7
		fi
		/bin/sleep 1 & # not what tests put in its place
		nap=$!
		wait "$nap" || :
		nap=
	done
}

# still: ends the line
still() {
	if [ -n "$watcher" ]; then
		# Not TERM, which we trap: the child would lose one that comes before its own trap.
		kill -s USR1 "$watcher" 2>/dev/null || :
		wait "$watcher" 2>/dev/null || :
		watcher=
		[ -z "$terminal" ] || printf '\r\033[K' >&7 || : # the terminal may be gone
	fi
}

# cut_off SIGNAL: tidies up, then ends by the signal
cut_off() {
	trap '' INT TERM HUP
	still
	[ -z "$undo" ] || eval "$undo"
	trap - INT TERM HUP
	kill -s "$1" $$
}

# guard: lets signals tidy up first
guard() {
	trap 'cut_off INT' INT
	trap 'cut_off TERM' TERM
	trap 'cut_off HUP' HUP
}

# step NAME LABEL "SECONDS LINES..." COMMAND...: runs COMMAND, whose output goes to a log, and shows
# LABEL and the time left. Without a last run the numbers give that time: pairs of seconds and lines,
# which say when the log has how many lines. The last pair is the end.
step() {
	step=$1 label=$2 usual=$3
	shift 3
	mkdir -p "$steps_logs" "$cache/log/last" || die "cannot write to $steps_logs and $cache"
	log=$steps_logs/$step.log
	: >"$log"
	guard
	watch "$step" "$label" "$log" 2>/dev/null &
	watcher=$!
	status=0
	"$@" >>"$log" 2>&1 </dev/null || status=$?
	still
	if [ "$status" != 0 ]; then
		tail -n 20 "$log" | outside >&7
		say "$label: failed. All of what was said is in $(echo "$log" | outside)"
		# If the reason is a full disk, the log ends before it.
		head -c 100000 /dev/zero 2>/dev/null >"$log.times" || hint="no space left on the disk of $steps_logs"
		[ -z "$hint" ] || say "$hint"
	else
		took=$(tail -n 1 "$log.times" 2>/dev/null) || took=
		took=${took%% *}
		took=${took:-0}
		[ -z "$terminal" ] || [ "$took" -lt 2 ] || [ "$took" -lt "$patience" ] ||
			say "$label: $((took / 60)):$(printf %02d $((took % 60)))"
		# A step that was partly done already does not tell how long the whole takes.
		kept_times=$cache/log/last/$step
		before=$(tail -n 1 "$kept_times" 2>/dev/null) || before=$usual
		if [ "$(wc -l <"$log")" -ge $((${before##* } / 2)) ]; then
			cp "$log.times" "$kept_times.$$" 2>/dev/null && mv "$kept_times.$$" "$kept_times"
		fi
	fi
	rm -f "$log.times"
	hint='' measure=''
	[ -n "$undo" ] || trap - INT TERM HUP
	return "$status"
}
