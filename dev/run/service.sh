#!/bin/sh
# Starts one of our own servers: service.sh api|feed|intake PORT
. "$(dirname "$0")/lib.sh"

export LISTEN_ADDR="127.0.0.1:$2"
export LOG_FILE="$PHAROS_LOG_DIR/$PC_PROC_NAME.log"
export ELASTIC_APM_SERVER_URL="http://127.0.0.1:$INTAKE_PORT"

# Its log lines are in LOG_FILE; a second copy through the supervisor would cost
# more CPU than the service itself under load. Panics and settings that are
# wrong go to standard error, which is kept; Filebeat has panics from the crash
# log beside LOG_FILE.
exec "$PHAROS_STATE/bin/$1" >/dev/null
