# shellcheck shell=bash
# Sourced by dev/test-compose: a Docker daemon of its own, with its sockets and
# records in $PHAROS_STATE/docker. Images and what their builds have cached stay
# in $PHAROS_CACHE/docker for the next run.

# start_docker starts it and points docker and Compose at it. Networks and address
# translation are the machine's, so another daemon must not be at work.
start_docker() {
	local state=$PHAROS_STATE/docker mtu deadline
	[[ $EUID -eq 0 ]] || die "a Docker daemon needs root: sudo dev/test-compose"
	[[ ! -S /var/run/docker.sock ]] || ! curl -sf -m 3 -o /dev/null --unix-socket /var/run/docker.sock http://docker/_ping ||
		die "a Docker daemon runs on this machine: stop it first; this test builds images under the names of official ones"
	mkdir -p "$state/exec"
	echo '{}' >"$state/daemon.json"
	FORWARDING=$(cat /proc/sys/net/ipv4/ip_forward)
	# Larger packets than the machine itself sends would be lost on the way.
	mtu=$(ip -o link show "$(ip route show default | awk '{ print $5; exit }')" | sed 's/.* mtu \([0-9]*\).*/\1/')
	export DOCKER_HOST=unix://$state/docker.sock
	setsid dockerd --config-file "$state/daemon.json" --data-root "$PHAROS_CACHE/docker" --exec-root "$state/exec" \
		-H "$DOCKER_HOST" --pidfile "$state/docker.pid" --storage-driver overlay2 --mtu "${mtu:-1500}" \
		</dev/null >"$state/dockerd.log" 2>&1 &
	DOCKERD=$!
	deadline=$((EPOCHSECONDS + 60))
	until docker version >/dev/null 2>&1; do
		kill -0 "$DOCKERD" 2>/dev/null || {
			tail -n 20 "$state/dockerd.log" >&2
			die "the Docker daemon has ended"
		}
		((EPOCHSECONDS < deadline)) || die "the Docker daemon does not answer: see $state/dockerd.log"
		sleep 0.5
	done
}

# stop_docker ends it with everything that it has started, and takes back what it
# has changed of the machine's network.
stop_docker() {
	local deadline=$((EPOCHSECONDS + 60)) chain
	[[ -n ${DOCKERD-} ]] || return 0
	kill -TERM "$DOCKERD" 2>/dev/null || true
	while kill -0 "$DOCKERD" 2>/dev/null && ((EPOCHSECONDS < deadline)); do sleep 0.2; done
	kill -KILL "$DOCKERD" 2>/dev/null || true
	DOCKERD=
	ip link delete docker0 2>/dev/null || true
	{
		iptables -P FORWARD ACCEPT
		iptables -S FORWARD | sed -n '/DOCKER\|docker0/s/^-A/-D/p' | while read -ra rule; do iptables "${rule[@]}"; done
		iptables -t nat -S | sed -n '/-j DOCKER$/s/^-A/-D/p; /docker0/s/^-A/-D/p' | while read -ra rule; do iptables -t nat "${rule[@]}"; done
		for chain in DOCKER DOCKER-USER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2; do iptables -F "$chain"; done
		for chain in DOCKER DOCKER-USER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2; do iptables -X "$chain"; done
		iptables -t nat -F DOCKER
		iptables -t nat -X DOCKER
	} 2>/dev/null || true
	echo "$FORWARDING" >/proc/sys/net/ipv4/ip_forward
}
