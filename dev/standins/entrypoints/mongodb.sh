#!/usr/bin/env bash
# Starts mongod as the official image does. At the first start it makes the root
# user, on a server that listens on 127.0.0.1 only.
set -Eeuo pipefail
[[ $1 == mongod ]] || exec "$@"
if [[ -n ${MONGO_INITDB_ROOT_USERNAME-} && ! -e /data/db/WiredTiger ]]; then
	mongod --quiet --dbpath /data/db --bind_ip 127.0.0.1 --nounixsocket >/dev/null &
	pid=$!
	mongoroot
	kill "$pid"
	wait "$pid"
fi
[[ -z ${MONGO_INITDB_ROOT_USERNAME-} ]] || set -- "$@" --auth
unset "${!MONGO_INITDB_@}"
exec "$@" --dbpath /data/db --bind_ip_all
