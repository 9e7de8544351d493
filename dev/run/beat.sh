#!/bin/sh
# Starts one of Elastic's Beats: beat.sh filebeat|heartbeat|metricbeat
. "$(dirname "$0")/lib.sh"

mkdir -p "$PHAROS_STATE/data/$1"

# strict.perms: the configuration belongs to who cloned the repository.
exec "$PHAROS_BEATS/$1" --strict.perms=false -c "$PHAROS_ROOT/$1/$1.yml" \
	--path.home "$PHAROS_STATE/data/$1" --path.config "$PHAROS_ROOT/$1" \
	--path.data "$PHAROS_STATE/data/$1" --path.logs "$PHAROS_STATE/logs/$1"
