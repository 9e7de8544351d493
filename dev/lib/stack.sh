# shellcheck shell=bash
# Sourced by the scripts that start, ask or stop a stack: all of it is in the
# folder $PHAROS_STATE, so that several can run beside each other.

# In the order in which they are stopped: who asks before who answers. The
# supervisor knows only what must be there for a start, and api starts without
# the processes that watch it.
readonly EDGES_FIRST=(nginx "api-1 api-2" "feed-1 feed-2")

# Our own processes in the order in which they are restarted while all goes on:
# each pair one after the other, and who is asked after who asks.
# shellcheck disable=SC2034 # for the scripts that source this
readonly RESTART_ORDER=(api-1 api-2 feed-1 feed-2 jobs ingest analytics intake watcher console)

# ---- Who runs it ---------------------------------------------------------------

# choose_runner sets RUNNER, what a command is started with to run as the stack's
# user. Elasticsearch and MariaDB refuse root, and the rest needs none of it: as
# root, everything runs as the system user pharos (or as whoever owns the state
# already). Otherwise it runs as the caller.
choose_runner() {
	local user=pharos
	RUNNER=()
	[[ $EUID -eq 0 ]] || return 0
	if [[ -d $PHAROS_STATE/run && $(stat -c %u "$PHAROS_STATE/run") != 0 ]]; then
		user=$(stat -c %U "$PHAROS_STATE/run")
	elif ! id pharos >/dev/null 2>&1; then
		useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin pharos
	fi
	RUNNER=(setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups --no-new-privs)
	RUNNER_OPEN=("${RUNNER[@]}" --securebits=+no_setuid_fixup
		"--inh-caps=-all,+dac_read_search" "--ambient-caps=+dac_read_search" "--bounding-set=-all,+dac_read_search")
	RUNNER+=("--inh-caps=-all" "--bounding-set=-all")
}

# open_closed_folders is for a clone, a cache or a state folder below a folder
# that the stack's user may not enter: root's home is one, and what mktemp makes.
# Everything is then run with one capability, to read and enter what permissions
# forbid; no_setuid_fixup, because access(2), which Java asks, would otherwise
# count without it. It allows no writing to what is not the user's own. The other
# ways are worse: to loosen somebody's folder, to run as root, or to keep the data
# elsewhere than where `make clean` looks for it.
open_closed_folders() {
	local check
	[[ $EUID -eq 0 ]] || return 0
	check="test -r '$PHAROS_ROOT/dev/run/lib.sh' && test -x '$PHAROS_JAVA_HOME/bin/java' \
		&& test -x '$PHAROS_MONGOD' && test -x '$PHAROS_BEATS/filebeat' && test -x '$PROCESS_COMPOSE' \
		&& test -r '$PHAROS_ELASTICSEARCH/config/jvm.options' && test -x '$PHAROS_STATE/bin/pharos' && cd '$PHAROS_STATE/run' \
		&& { test -z '$TLS_KEY_FILE' || test -r '$TLS_KEY_FILE'; }"
	"${RUNNER[@]}" sh -c "$check" 2>/dev/null && return
	RUNNER=("${RUNNER_OPEN[@]}")
	"${RUNNER[@]}" sh -c "$check" ||
		die "the user $("${RUNNER[@]}" id -un), as whom the servers run, cannot enter the folders of Pharos: move the clone to where everybody may, such as /opt"
	say "The servers may enter closed folders (CAP_DAC_READ_SEARCH), because the clone, the cache or the state lies in one."
}

# ---- Its settings ----------------------------------------------------------------

DERIVED=()

derive() {
	DERIVED+=("$1")
	export "$1=$2"
}

# derive_settings exports what follows from the settings and from what is installed.
derive_settings() {
	local host=127.0.0.1
	[[ $NGINX_LISTEN_ADDR == 0.0.0.0 ]] || host=$NGINX_LISTEN_ADDR
	PROCESS_COMPOSE=$(tool_dir process-compose)/process-compose

	derive PHAROS_ROOT "$PHAROS_ROOT"
	derive PHAROS_STATE "$PHAROS_STATE"
	derive PHAROS_JAVA_HOME "$(java_home)"
	derive PHAROS_ELASTICSEARCH "$ELASTICSEARCH_DIR"
	derive PHAROS_MONGOD "$MONGOD_DIR/mongod"
	derive PHAROS_BEATS "$(tool_dir beats)"
	derive PHAROS_LOG_DIR "$PHAROS_STATE/logs/pharos"
	derive NGINX_LOG_DIR "$PHAROS_STATE/logs/nginx"
	derive BACKUP_DIR "${BACKUP_DIR:-$PHAROS_STATE/backup}"

	derive PHAROS_URL "http://$host:$NGINX_PORT"
	derive NGINX_URL "$PHAROS_URL"
	derive NGINX_TLS_URL "https://$host:$NGINX_TLS_PORT"
	derive NGINX_TLS_PROBE "$(if serves_tls; then say true; else say false; fi)"
	derive STATUS_URL "${STATUS_URL:-$PHAROS_URL/status}"
	derive API_URLS "http://127.0.0.1:$API_1_PORT,http://127.0.0.1:$API_2_PORT"
	derive FEED_URLS "http://127.0.0.1:$FEED_1_PORT,http://127.0.0.1:$FEED_2_PORT"
	derive METRICS_URLS "$API_URLS,$FEED_URLS,http://127.0.0.1:$INGEST_PORT,http://127.0.0.1:$ANALYTICS_PORT,http://127.0.0.1:$JOBS_PORT,http://127.0.0.1:$WATCHER_PORT,http://127.0.0.1:$CONSOLE_PORT,http://127.0.0.1:$INTAKE_PORT"
	derive NGINX_STATUS_URL "http://127.0.0.1:$NGINX_STATUS_PORT"
	derive ELASTICSEARCH_HOST_PORT "127.0.0.1:$ELASTICSEARCH_PORT"
	derive ELASTICSEARCH_URL "http://$ELASTICSEARCH_HOST_PORT"
	derive WATCHER_URL "http://127.0.0.1:$WATCHER_PORT"
	derive MONGODB_HOST_PORT "127.0.0.1:$MONGODB_PORT"
	derive MONGODB_URI "mongodb://$MONGODB_HOST_PORT/pharos?replicaSet=rs0"
	derive MONGODB_USER pharos
	derive REDIS_HOST_PORT "127.0.0.1:$REDIS_PORT"
	derive REDIS_ADDR "$REDIS_HOST_PORT"
	derive MYSQL_HOST_PORT "127.0.0.1:$MYSQL_PORT"
	derive MYSQL_ADDR "$MYSQL_HOST_PORT"
	derive MYSQL_USER pharos
	derive MYSQL_DATABASE pharos
	# Tests start a broker of their own where none is named.
	[[ $BUS != kafka ]] || derive KAFKA_BROKERS "127.0.0.1:$KAFKA_PORT"
	derive KAFKA_USER pharos
	derive PHAROS_KAFKA "$KAFKA_DIR"
	derive KAFKA_DISABLED "$(if [[ $BUS == kafka ]]; then say false; else say true; fi)"
}

# prepare_state makes the folders, owned by the stack's user.
prepare_state() {
	local user repository=${BACKUP_DIR:-$PHAROS_STATE/backup}/elasticsearch
	choose_runner
	mkdir -p "$PHAROS_STATE"/{bin,data,run/tmp,logs/{nginx,pharos}} "$repository"
	chmod 711 "$PHAROS_STATE"
	if ((${#RUNNER[@]})); then
		user=$("${RUNNER[@]}" id -u)
		[[ $(stat -c %u "$PHAROS_STATE/data") == "$user" ]] ||
			chown -R "$user:$("${RUNNER[@]}" id -g)" "$PHAROS_STATE"/{data,run,logs}
		[[ $(stat -c %u "$repository") == "$user" ]] ||
			chown -R "$user:$("${RUNNER[@]}" id -g)" "$repository"
	fi
	chmod 700 "$PHAROS_STATE"/{data,run} "$repository"
}

# ---- Processes by their records: "id, moment of its start" --------------------------

# living FILE prints the id in a record, if that very process still runs.
living() {
	local pid start state now
	{ read -r pid start <"$1"; } 2>/dev/null || return 1
	read -r state now < <(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f1,20) || return 1
	[[ $now == "$start" && $state != Z ]] && say "$pid"
}

supervisor() { living "$PHAROS_STATE/run/process-compose.pid"; }

# ask METHOD PATH asks the supervisor. The socket's name is relative because a
# longer one than 107 characters is refused.
ask() { (cd "$PHAROS_STATE/run" && curl -sf -m 120 -X "$1" --unix-socket process-compose.sock "http://supervisor$2"); }

# processes prints a line for each: name status health probed restarts exit-code pid memory
processes() {
	ask GET /processes | jq -r '.data | sort_by(.name)[] |
		[.name, .status, (.is_ready | gsub(" "; "-")), .has_ready_probe, .restarts, .exit_code, .pid, .mem] | join(" ")'
}

# restart_process NAME restarts one process and waits until it is ready.
restart_process() {
	local before name status health probed pid deadline=$((EPOCHSECONDS + 150))
	before=$(processes | awk -v name="$1" '$1 == name { print $7 }')
	ask POST "/process/restart/$1" >/dev/null || die "the supervisor does not restart $1: see $PHAROS_STATE/logs/process-compose.log"
	while ((EPOCHSECONDS < deadline)); do
		read -r name status health probed _ _ pid _ < <(processes | grep "^$1 ") || true
		if [[ $pid != "$before" && $status == Running && ($health == Ready || $probed == false) ]]; then
			return 0
		fi
		sleep 0.3
	done
	last_lines "$1"
	die "$1 is not ready after its restart"
}

# last_lines NAME prints how each of a process's logs ends.
last_lines() {
	local file
	for file in "$PHAROS_STATE/logs/$1"/* "$PHAROS_STATE/logs/pharos/$1.log" "$PHAROS_STATE/logs/pharos/$1.crash.log"; do
		[[ ! -s $file ]] || {
			say "--- the end of $file"
			tail -n 12 "$file" | cut -c1-400
		}
	done
}

# ---- Start, wait, stop ----------------------------------------------------------------

# start_stack starts all processes of the stack.
start_stack() { start_processes; }

# start_processes PROCESS… starts these and what they wait for; with none, all.
# shellcheck disable=SC2120 # none is given by start_stack
start_processes() {
	local name settings=()
	open_closed_folders
	rm -f "$PHAROS_STATE/run/changed-secrets"
	for name in $(setting_names) "${DERIVED[@]}"; do
		is_secret "$name" || settings+=("$name=${!name}")
	done
	for name in $(tuning_names); do
		[[ -z ${!name-} || " ${DERIVED[*]} " == *" $name "* ]] || settings+=("$name=${!name}")
	done
	# All settings with the secrets: for the supervisor, to fill in its file.
	# Written as the stack's user, as is everything in that user's folders.
	# shellcheck disable=SC2016
	for name in $(setting_names) "${DERIVED[@]}"; do
		printf "%s='%s'\n" "$name" "${!name}"
	done | "${RUNNER[@]}" sh -c 'umask 077 && cat >"$1"' sh "$PHAROS_STATE/run/env"
	(
		cd "$PHAROS_STATE/run" || exit
		ulimit -Sn "$(($(ulimit -Hn) < 65536 ? $(ulimit -Hn) : 65536))" 2>/dev/null || true
		# TZ: nginx writes its error log's times without their zone.
		# shellcheck disable=SC2016
		exec setsid env -i "${settings[@]}" PATH="$PATH" HOME="$PHAROS_STATE/run" TMPDIR="$PHAROS_STATE/run/tmp" \
			LANG=C.UTF-8 TZ=UTC PC_PROC_NAME=process-compose "${RUNNER[@]}" sh -c '
			. "$PHAROS_ROOT/dev/run/lib.sh"
			unset NODE_NAME PC_PROC_NAME
			exec "$0" up "$@" -f "$PHAROS_ROOT/dev/process-compose.yaml" -e "$PHAROS_STATE/run/env" -t=false \
				-U -u process-compose.sock --ordered-shutdown \
				-L "$PHAROS_STATE/logs/process-compose.log" >/dev/null 2>"$PHAROS_STATE/logs/process-compose.err"' \
			"$PROCESS_COMPOSE" "$@"
	) </dev/null >/dev/null 2>&1 &
	# This shell need not hear of its end.
	disown
}

# wait_ready SECONDS waits until every process is healthy and every set-up has
# run, and tells of each. It fails with the reason as soon as one cannot be.
wait_ready() {
	local begin=$EPOCHSECONDS told=' ' news name status health probed restarts code rest waiting='' ready ticks=0 list=''
	while ((EPOCHSECONDS - begin < $1)); do
		sleep 0.5
		ticks=$((ticks + 1))
		if ! supervisor >/dev/null; then
			# It needs a moment to record itself.
			((ticks > 10)) || continue
			complain "the supervisor has ended"
			tail -n 5 "$PHAROS_STATE/logs/process-compose.err" "$PHAROS_STATE/logs/process-compose.log" || true
			return 1
		fi
		list=$(processes 2>/dev/null) || continue
		news=
		waiting=
		ready=0
		while read -r name status health probed restarts code rest; do
			if [[ $status == Running && ($health == Ready || $probed == false && $name != setup-*) ||
				$status == Completed && $code == 0 || $status == Disabled ]]; then
				ready=$((ready + 1))
				[[ $told == *" $name "* ]] || news+=" $name"
				told+="$name "
			elif [[ $status == Error || $status == Skipped || $status == Completed ]] || [[ $name != setup-* && $restarts -ge 3 ]]; then
				[[ $status != Skipped ]] || continue # the cause is among the others
				complain "$name does not start ($status, exit code $code, started $((restarts + 1)) times)"
				last_lines "$name"
				return 1
			else
				# Who waits for another is not the one to look at.
				[[ $status == Pending ]] || waiting+=" $name"
			fi
		done <<<"$list"
		[[ -z $news ]] || say "  $((EPOCHSECONDS - begin)) s:$news"
		((ticks % 20)) || [[ -z $waiting ]] || say "  $((EPOCHSECONDS - begin)) s: waiting for$waiting"
		((ready < $(wc -l <<<"$list"))) || return 0
	done
	[[ -n $list ]] || complain "the supervisor does not answer: see $PHAROS_STATE/logs/process-compose.err"
	for name in $waiting; do
		complain "$name is not ready after $1 s"
		last_lines "$name"
	done
	return 1
}

# stop_stack stops everything in order and fails if anything lives on. Where the
# supervisor is gone, its children are known by their records.
stop_stack() {
	local pid group name deadline
	choose_runner
	if pid=$(supervisor); then
		for group in "${EDGES_FIRST[@]}"; do
			for name in $group; do ask PATCH "/process/stop/$name" >/dev/null 2>&1 & done
			wait
		done
		"${RUNNER[@]}" kill -TERM "$pid"
		deadline=$((EPOCHSECONDS + 150))
		while supervisor >/dev/null && ((EPOCHSECONDS < deadline)); do sleep 0.2; done
		! supervisor >/dev/null || "${RUNNER[@]}" kill -KILL "$pid"
	fi
	for group in "${EDGES_FIRST[@]}" '*'; do signal_recorded TERM "$group" 60; done
	signal_recorded KILL '*' 10
	! any_living
}

# signal_recorded SIGNAL NAMES SECONDS signals processes by their records, each
# with the group that it leads, and waits for their end.
signal_recorded() {
	local name file pid deadline=$((EPOCHSECONDS + $3)) names hit=()
	read -ra names <<<"$2"
	for name in "${names[@]}"; do
		for file in "$PHAROS_STATE"/run/$name.pid; do
			pid=$(living "$file") || continue
			hit+=("$file")
			"${RUNNER[@]}" kill "-$1" -- "-$pid" 2>/dev/null || true
		done
	done
	for file in "${hit[@]}"; do
		while living "$file" >/dev/null && ((EPOCHSECONDS < deadline)); do sleep 0.2; done
	done
}

any_living() {
	local file
	for file in "$PHAROS_STATE"/run/*.pid; do
		! living "$file" >/dev/null || return 0
	done
	return 1
}
