#!/bin/sh
# Elasticsearch, one node, with security on and without TLS on loopback.
. "$(dirname "$0")/lib.sh"

data=$PHAROS_STATE/data/elasticsearch
export ES_JAVA_HOME="$PHAROS_JAVA_HOME"
export ES_PATH_CONF="$data/config"
export ES_TMPDIR="$PHAROS_STATE/run/elasticsearch"
export ES_JAVA_OPTS="-Xms$ES_HEAP -Xmx$ES_HEAP"
mkdir -p "$ES_PATH_CONF" "$ES_TMPDIR" "$data/data"

# Transport is of no use to one node and takes any free port. The watermarks are
# sizes because the usual percentages make indices read-only on a disk that is
# 95 % full, however much 5 % may be.
cat >"$ES_PATH_CONF/elasticsearch.yml" <<YML
cluster.name: pharos
node.name: elasticsearch-1
path.data: $data/data
path.logs: $PHAROS_STATE/logs/elasticsearch
path.repo: $BACKUP_DIR/elasticsearch
network.host: 127.0.0.1
http.port: $ELASTICSEARCH_PORT
transport.port: 0
discovery.type: single-node
xpack.security.enabled: true
xpack.security.enrollment.enabled: false
xpack.security.autoconfiguration.enabled: false
xpack.security.http.ssl.enabled: false
xpack.security.transport.ssl.enabled: false
cluster.routing.allocation.disk.watermark.low: 2gb
cluster.routing.allocation.disk.watermark.high: 1gb
cluster.routing.allocation.disk.watermark.flood_stage: 500mb
YML

# The distribution's own, less the garbage collector's log (up to 2 GB) and the
# heap dumps.
sed -e '/-Xlog:gc/d' -e '/HeapDumpOnOutOfMemoryError/d' \
	-e "s|-XX:ErrorFile=|&$PHAROS_STATE/logs/elasticsearch/|" \
	"$PHAROS_ELASTICSEARCH/config/jvm.options" >"$ES_PATH_CONF/jvm.options"

# To standard output only: the supervisor keeps and rotates it.
cat >"$ES_PATH_CONF/log4j2.properties" <<'PROPERTIES'
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
logger.deprecation.name = org.elasticsearch.deprecation
logger.deprecation.level = error
PROPERTIES

# The keystore's tool is a JVM of its own: only when there is something to store.
# This password is the superuser's until one is set through the API.
known=$ES_PATH_CONF/bootstrap.sha256
print=$(printf '%s' "$ELASTIC_PASSWORD" | sha256sum)
if [ "$print" != "$(cat "$known" 2>/dev/null)" ]; then
	printf '%s' "$ELASTIC_PASSWORD" | CLI_NAME=keystore CLI_LIBS=lib/tools/keystore-cli \
		"$PHAROS_ELASTICSEARCH/bin/elasticsearch-cli" add -f -x bootstrap.password
	printf '%s\n' "$print" >"$known"
fi

CLI_NAME=server CLI_LIBS=lib/tools/server-cli exec "$PHAROS_ELASTICSEARCH/bin/elasticsearch-cli"
