#!/usr/bin/env bash
# Starts Elasticsearch as the official image does: settings are the variables
# with a dot in their names, ELASTIC_PASSWORD is the superuser's at the first start.
set -euo pipefail
umask 0002
cd /usr/share/elasticsearch
[[ $1 == eswrapper ]] || exec "$@"

tool() {
	CLI_NAME=$1 CLI_LIBS=lib/tools/$1-cli bin/elasticsearch-cli "${@:2}"
}

cat >config/elasticsearch.yml <<'YML'
cluster.name: docker-cluster
network.host: 0.0.0.0
YML
cat >config/log4j2.properties <<'PROPERTIES'
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
PROPERTIES

settings=()
while IFS='=' read -r name value; do
	if [[ $name =~ ^[a-z0-9_]+\.[a-z0-9_.]+$ && -n $value ]]; then
		# Of modules that this distribution lacks.
		case $name in ingest.geoip.*) continue ;; esac
		settings+=("-E$name=$value")
	fi
done < <(env)

printf '%s' "$ELASTIC_PASSWORD" | tool keystore add -f -x bootstrap.password

# The official image brings Elastic's own templates for what APM Server writes.
# They need field types that this distribution lacks: the native run's stand in.
templates() {
	local scheme=http kind file
	[[ ! -e config/certificates/ca.crt ]] || scheme=https
	until curl -sf -k -o /dev/null -K - "$scheme://127.0.0.1:9200/_cluster/health?wait_for_status=yellow" <<<"user = \"elastic:$ELASTIC_PASSWORD\""; do sleep 1; done
	for kind in _ingest/pipeline _component_template _index_template; do
		for file in /opt/apm-templates/"${kind//\//.}"/*.json; do
			curl -s -k -S -X PUT -H 'Content-Type: application/json' --data-binary "@$file" \
				-w ' %{http_code} '"$kind/$(basename "$file" .json)\n" -K - "$scheme://127.0.0.1:9200/$kind/$(basename "$file" .json)" <<<"user = \"elastic:$ELASTIC_PASSWORD\""
		done
	done
}
templates &

CLI_NAME=server CLI_LIBS=lib/tools/server-cli exec bin/elasticsearch-cli "${settings[@]}"
