# shellcheck shell=bash
# Sourced by dev/with-oracle: gets and starts Elastic's own Watcher, the last
# free-standing distribution that can be had from a package registry. Elastic
# License: for tests only, on a trial licence that each fresh data folder makes
# itself; not to be handed on and never a part of a running Pharos.

readonly ORACLE_ARTIFACT=org.elasticsearch.distribution.zip:elasticsearch:6.8.23:zip
readonly ORACLE_SHA256=490e9b9fbab9ffb3499938c45850318bd6554d439497842450b60ef22c114fb6
readonly ORACLE_DIR=$PHAROS_CACHE/elasticsearch-6.8.23

# fetch_oracle fills the cache, once, whoever asks first.
fetch_oracle() {
	local scratch=$PHAROS_CACHE/.oracle zip
	exec 8>"$PHAROS_CACHE/.oracle.lock"
	flock 8
	if [[ ! -d $ORACLE_DIR ]]; then
		say "Getting Elasticsearch 6.8.23 with Watcher (149 MB)"
		rm -rf "$scratch"
		mkdir -p "$scratch"
		mvn -B -q -Dmaven.repo.local="$scratch/m2" org.apache.maven.plugins:maven-dependency-plugin:2.8:get \
			-Dartifact=$ORACLE_ARTIFACT -Dtransitive=false
		zip=$(find "$scratch/m2" -name 'elasticsearch-6.8.23.zip')
		echo "$ORACLE_SHA256  $zip" | sha256sum -c --quiet -
		# Its command-line client is 18 MB, and machine learning does not start
		# on every kernel.
		unzip -q "$zip" -d "$scratch" -x '*/elasticsearch-sql-cli-*.jar' '*/modules/x-pack-ml/platform/*'
		chmod -R go+rX "$scratch/elasticsearch-6.8.23"
		mv "$scratch/elasticsearch-6.8.23" "$ORACLE_DIR"
		rm -rf "$scratch"
	fi
	exec 8>&-
}

# write_oracle_config FOLDER PORT writes its configuration: one node on loopback,
# a trial licence, no security, and what would only cost memory turned off.
write_oracle_config() {
	mkdir -p "$1"/{config,data,logs,tmp}
	cat >"$1/config/elasticsearch.yml" <<YML
cluster.name: oracle
node.name: oracle
path.data: $1/data
path.logs: $1/logs
network.host: 127.0.0.1
http.port: $2
transport.port: 0
discovery.type: single-node
xpack.license.self_generated.type: trial
xpack.security.enabled: false
xpack.ml.enabled: false
xpack.monitoring.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
script.max_compilations_rate: 100000/1m
YML
	sed -e '/-Xlog:gc/d; /^8:/d; /^9-:-Xlog/d; /HeapDumpOnOutOfMemoryError/d; /UseConcMarkSweep/d; /CMSInitiating/d; /^-Xm[sx]/d' \
		"$ORACLE_DIR/config/jvm.options" >"$1/config/jvm.options"
	cp "$ORACLE_DIR/config/log4j2.properties" "$1/config/"
}
