#!/bin/sh
# Redis: cache, streams and spilled records.
. "$(dirname "$0")/lib.sh"

data=$PHAROS_STATE/data/redis
mkdir -p "$data"

# By standard input, so that the password is neither in `ps` nor in a file.
# Streams and spilled records have no expiry: under volatile-ttl only cached
# entries make room. They must survive a crash, hence the append-only file.
exec redis-server - <<CONF
bind 127.0.0.1
port $REDIS_PORT
requirepass $REDIS_PASSWORD
dir $data
daemonize no
save ""
appendonly yes
appendfsync everysec
maxmemory 256mb
maxmemory-policy volatile-ttl
CONF
