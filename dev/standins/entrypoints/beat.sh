#!/usr/bin/env bash
# Starts a Beat as the official images do: arguments that begin with a dash are its own.
set -euo pipefail
if [[ -z ${1-} || $1 == -* ]]; then
	exec "$BEAT" "$@"
fi
exec "$@"
