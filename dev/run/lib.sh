# shellcheck shell=sh
# What every start script in this folder does first: . "$(dirname "$0")/lib.sh"
# process-compose runs them, with the settings of dev/process-compose.yaml.
set -eu
umask 077

# service.node.name of what this process sends
export NODE_NAME="$PC_PROC_NAME"

# The supervisor knows its children only while it lives. The id, with the moment
# at which the process began because ids are used again, lets `make down` stop
# them when it is gone. `exec` keeps both.
printf '%s %s\n' "$$" "$(sed 's/.*) //' "/proc/$$/stat" | cut -d' ' -f20)" >"$PHAROS_STATE/run/$PC_PROC_NAME.pid"
