#!/usr/bin/env bash
# Starts MariaDB in MySQL's place, and makes at the first start what the official
# image makes of its variables: a database, its user, root's password; then runs
# /docker-entrypoint-initdb.d, while the server listens on its socket only.
set -eo pipefail
[[ $1 != -* ]] || set -- mysqld "$@"
[[ $1 == mysqld ]] || exec "$@"
shift
data=/var/lib/mysql socket=/var/run/mysqld/mysqld.sock
server=(mariadbd --no-defaults --datadir="$data" --socket="$socket" --pid-file=/var/run/mysqld/mysqld.pid)

# shellcheck disable=SC2317 # the scripts of initdb.d call it
docker_process_sql() {
	[[ -z $MYSQL_DATABASE ]] || set -- --database="$MYSQL_DATABASE" "$@"
	mariadb --defaults-extra-file=<(printf '[client]\nuser=root\npassword="%s"\n' "$MYSQL_ROOT_PASSWORD") \
		--protocol=socket --socket="$socket" --comments "$@"
}

if [[ ! -d $data/mysql ]]; then
	: "${MYSQL_ROOT_PASSWORD:?}"
	mariadb-install-db --no-defaults --auth-root-authentication-method=normal --skip-test-db --basedir=/usr --datadir="$data" >/dev/null
	"${server[@]}" "$@" --skip-networking &
	pid=$!
	until mariadb --no-defaults -u root --socket="$socket" -e 'SELECT 1' >/dev/null 2>&1; do sleep 0.2; done
	mariadb --no-defaults -u root --socket="$socket" <<-SQL
		DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');
		FLUSH PRIVILEGES;
		CREATE DATABASE IF NOT EXISTS \`$MYSQL_DATABASE\`;
		CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY '$MYSQL_PASSWORD';
		GRANT ALL ON \`$MYSQL_DATABASE\`.* TO '$MYSQL_USER'@'%';
		ALTER USER 'root'@'localhost' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
	SQL
	for script in /docker-entrypoint-initdb.d/*.sh; do
		# shellcheck disable=SC1090
		[[ ! -e $script ]] || . "$script"
	done
	kill "$pid"
	wait "$pid"
fi
exec "${server[@]}" "$@"
