#!/bin/sh
# Rotates nginx's logs, which nginx does not do by itself.
. "$(dirname "$0")/lib.sh"

exec sh "$PHAROS_ROOT/nginx/rotate.sh" "$NGINX_LOG_DIR" "$PHAROS_STATE/run/nginx/nginx.pid"
