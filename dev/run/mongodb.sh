#!/bin/sh
# MongoDB: users, follows, posts. `pharos setup mongodb` initiates the replica
# set and makes the users, through the exception for localhost.
. "$(dirname "$0")/lib.sh"

data=$PHAROS_STATE/data/mongodb
mkdir -p "$data"
printf '%s\n' "$MONGODB_REPLICA_KEY" >"$PHAROS_STATE/run/mongodb.key"

# One member is enough for transactions and change streams. The oplog would
# otherwise take a twentieth of the disk.
exec "$PHAROS_MONGOD" --quiet \
	--bind_ip 127.0.0.1 --port "$MONGODB_PORT" --nounixsocket \
	--dbpath "$data" --wiredTigerCacheSizeGB 0.25 --oplogSize 256 \
	--replSet rs0 --keyFile "$PHAROS_STATE/run/mongodb.key" \
	--setParameter diagnosticDataCollectionEnabled=false
