#!/bin/sh
# Rotates nginx's logs: rotate.sh LOG_DIR PID_FILE
#
# A log over NGINX_LOG_MAX_MB (64) is renamed, access-YYYYmmddTHHMMSS.log, and
# nginx is told to open a new one. The last NGINX_LOG_KEEP (5) renamed ones of
# each log stay, and any younger than NGINX_LOG_KEEP_MINUTES (30): Filebeat may
# be behind, and a file that is gone before it was read is lost. Runs until it
# is stopped; looks every NGINX_LOG_CHECK_SECONDS (10).
set -u

log_dir=${1:?usage: rotate.sh LOG_DIR PID_FILE}
pid_file=${2:?usage: rotate.sh LOG_DIR PID_FILE}
max_bytes=$((${NGINX_LOG_MAX_MB:-64} * 1024 * 1024))
keep=${NGINX_LOG_KEEP:-5}
keep_minutes=${NGINX_LOG_KEEP_MINUTES:-30}
pause=${NGINX_LOG_CHECK_SECONDS:-10}

# A pid file that a killed nginx left behind may name anyone's process by now.
nginx_pid() {
	pid=$(cat "$pid_file" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = nginx ] && echo "$pid"
}

# nginx writes on into the renamed file until it gets its signal, so no line is
# lost between the two.
rename() {
	log=$log_dir/$1.log
	size=$(stat -c %s "$log" 2>/dev/null) && [ "$size" -gt "$max_bytes" ] || return 0
	to=$log_dir/$1-$(date -u +%Y%m%dT%H%M%S).log
	[ -e "$to" ] || mv "$log" "$to"
}

# The names sort by time.
expire() {
	find "$log_dir" -maxdepth 1 -name "$1-[0-9]*T[0-9]*.log" | sort -r | tail -n "+$((keep + 1))" |
		while IFS= read -r old; do
			find "$old" -mmin "+$keep_minutes" -exec rm -f {} \;
		done
}

sleeping=
trap 'kill "$sleeping" 2>/dev/null; exit 0' TERM INT
while :; do
	# Without a running nginx nothing is renamed: the next one opens the same file.
	if pid=$(nginx_pid); then
		for name in access error; do
			rename "$name"
			expire "$name"
		done
		# By what is missing, not by what was renamed just now: a signal that
		# failed is made up for in the next round.
		if [ ! -e "$log_dir/access.log" ] || [ ! -e "$log_dir/error.log" ]; then
			kill -USR1 "$pid"
		fi
	fi
	sleep "$pause" &
	sleeping=$!
	wait "$sleeping"
done
