#!/bin/sh
# Starts one of Elastic's Beats: beat.sh filebeat|filebeat-queue|heartbeat|metricbeat
# With BUS=kafka Filebeat writes to Kafka, and filebeat-queue is the Filebeat that
# reads from there.
. "$(dirname "$0")/lib.sh"

name=$1 beat=$1
set -- -c "$PHAROS_ROOT/$name/$name.yml"
case $name in
filebeat)
	[ "$BUS" != kafka ] || set -- "$@" -c "$PHAROS_ROOT/filebeat/filebeat-to-kafka.yml"
	;;
filebeat-queue)
	beat=filebeat
	set -- -c "$PHAROS_ROOT/filebeat/filebeat-from-kafka.yml"
	;;
esac
mkdir -p "$PHAROS_STATE/data/$name"

# strict.perms: the configuration belongs to who cloned the repository.
exec "$PHAROS_BEATS/$beat" --strict.perms=false "$@" \
	--path.home "$PHAROS_STATE/data/$name" --path.config "$PHAROS_ROOT/$beat" \
	--path.data "$PHAROS_STATE/data/$name" --path.logs "$PHAROS_STATE/logs/$name"
