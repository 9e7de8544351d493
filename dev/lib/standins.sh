# shellcheck shell=bash
# Sourced by dev/test-compose: builds the stand-ins of dev/standins into the
# Docker daemon, from what dev/lib/bootstrap.sh has fetched and built.

readonly STANDIN_BASE=pharos-standin-base:bookworm

# pinned exports the images and versions of .env.example, the one place that has
# them.
pinned() {
	local name value
	while IFS='=' read -r name value; do
		export "$name=$value"
	done < <(sed -n 's/^# \([A-Z_]*_\(IMAGE\|VERSION\)=.*\)/\1/p' "$PHAROS_ROOT/.env.example")
}

# standin_base imports a Debian of its own, once.
standin_base() {
	local archive=$PHAROS_CACHE/standin-base-bookworm.tar scratch
	! docker image inspect "$STANDIN_BASE" >/dev/null 2>&1 || return 0
	if [[ ! -e $archive ]]; then
		scratch=$(mktemp -d "$PHAROS_CACHE/standin-base.XXXXXX")
		debootstrap --variant=minbase bookworm "$scratch" >"$PHAROS_STATE/debootstrap.log"
		rm -rf "$scratch"/var/cache/apt/archives/*.deb "$scratch"/var/lib/apt/lists/*
		tar -C "$scratch" -cf "$archive.new" .
		mv "$archive.new" "$archive"
		rm -rf "$scratch"
	fi
	docker import "$archive" "$STANDIN_BASE" >/dev/null
}

# place FROM TO copies by links, where the file system allows it.
place() { cp -al "$1" "$2" 2>/dev/null || cp -a "$1" "$2"; }

# standin_context FOLDER fills the folder that they are built from.
standin_context() {
	local object modules
	mkdir -p "$1"/{bin,mongod,node/bin,node/lib/node_modules,apm-templates}
	cp -r "$PHAROS_ROOT"/dev/standins/{Dockerfile,entrypoints} "$1"
	cp -L /etc/ssl/certs/ca-certificates.crt "$1"
	place "$ELASTICSEARCH_DIR" "$1/elasticsearch"
	place "$MONGOD_DIR/mongod" "$1/mongod"
	place "$KAFKA_DIR" "$1/kafka"
	place "$(tool_dir beats)" "$1/beats"
	place "$(go env GOROOT)" "$1/go"
	modules=$(npm root -g)
	cp -L "$(command -v node)" "$1/node/bin"
	cp -a "$modules/npm" "$1/node/lib/node_modules"
	ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/node/bin/npm"
	go -C "$PHAROS_ROOT" build -trimpath -ldflags '-s -w' -o "$1/bin/" ./cmd/intake ./dev/standins/...
	# The objects that the native set-up alone makes, and what they are composed of.
	while IFS= read -r object; do
		case $object in
		pipelines/*) set -- "$1" _ingest.pipeline ;;
		components/*) set -- "$1" _component_template ;;
		templates/*) set -- "$1" _index_template ;;
		*) continue ;;
		esac
		mkdir -p "$1/apm-templates/$2"
		cp "$PHAROS_ROOT/elastic/$object" "$1/apm-templates/$2"
	done < <(cd "$PHAROS_ROOT/elastic" && printf '%s\n' components/*.json && grep -l '"only": "native"' pipelines/*.json templates/*.json)
}

# build_standins builds them all, and tells what each is.
build_standins() {
	local image
	pinned
	standin_base
	STANDINS_CONTEXT=$PHAROS_STATE/standins
	export STANDINS_CONTEXT
	standin_context "$STANDINS_CONTEXT"
	COMPOSE_BAKE=false COMPOSE_PARALLEL_LIMIT=2 "$DOCKER_COMPOSE" -f "$PHAROS_ROOT/dev/standins/compose.yml" build --progress plain \
		>"$PHAROS_STATE/standins.log" 2>&1 || {
		tail -n 40 "$PHAROS_STATE/standins.log" >&2
		die "the stand-ins cannot be built"
	}
	say "STAND-INS, not the official images:"
	for image in $("$DOCKER_COMPOSE" -f "$PHAROS_ROOT/dev/standins/compose.yml" config --images | LC_ALL=C sort); do
		printf '  %-62s %s\n' "$image" "$(docker image inspect -f '{{index .Config.Labels "pharos.standin"}}' "$image")"
	done
}
