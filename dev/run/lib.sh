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

# The supervisor hands out the secrets that it was started with. Which of them
# dev/rotate-secrets has changed since stands in a file: NAME FORMER PRESENT, or
# NAME - PRESENT where the former value tells nothing. In an awk program, and not
# in arguments, so that no other user sees them.
changed=$PHAROS_STATE/run/changed-secrets
if [ -s "$changed" ]; then
	eval "$(env | awk -v changed="$changed" '
		BEGIN {
			while ((getline line < changed) > 0) {
				split(line, part, " ")
				if (part[2] == "-") { named[part[1]] = part[3] } else { present[part[2]] = part[3] }
			}
		}
		{
			at = index($0, "=")
			name = substr($0, 1, at - 1)
			value = substr($0, at + 1)
			if (name in named) { print "export " name "=\047" named[name] "\047" }
			else if (value in present) { print "export " name "=\047" present[value] "\047" }
		}')"
fi
