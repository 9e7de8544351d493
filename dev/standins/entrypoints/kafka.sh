#!/usr/bin/env bash
# Starts Kafka as the official image does: KAFKA_A_B is the property a.b, __
# stands for _ and ___ for -; CLUSTER_ID formats the folder where it is new.
set -euo pipefail
properties=/opt/kafka/config/server.properties
: >"$properties"
while IFS='=' read -r name value; do
	case $name in
	KAFKA_HEAP_OPTS | KAFKA_OPTS) continue ;;
	KAFKA_*)
		name=${name#KAFKA_}
		name=${name,,}
		name=${name//___/-}
		name=${name//__/$'\x01'}
		name=${name//_/.}
		printf '%s=%s\n' "${name//$'\x01'/_}" "$value" >>"$properties"
		;;
	esac
done < <(env)
cat >/opt/kafka/config/log4j2.properties <<'PROPERTIES'
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
PROPERTIES
read -ra heap <<<"$KAFKA_HEAP_OPTS"
java=(java "${heap[@]}" -Dlog4j2.configurationFile=/opt/kafka/config/log4j2.properties -cp '/opt/kafka/libs/*')
"${java[@]}" kafka.tools.StorageTool format --ignore-formatted -t "$CLUSTER_ID" -c "$properties" >/dev/null
exec "${java[@]}" kafka.Kafka "$properties"
