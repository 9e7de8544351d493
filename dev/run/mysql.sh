#!/bin/sh
# MariaDB, in MySQL's place: request tracking.
. "$(dirname "$0")/lib.sh"

data=$PHAROS_STATE/data/mysql

# Made beside its place, so that an interrupted first start leaves nothing that
# looks whole.
if [ ! -d "$data" ]; then
	rm -rf "$data.new"
	mariadb-install-db --no-defaults --auth-root-authentication-method=normal \
		--skip-test-db --basedir=/usr --datadir="$data.new" >/dev/null
	mv "$data.new" "$data"
fi

# Run at every start: the passwords of .env are the ones that count.
init=$PHAROS_STATE/run/mysql-init.sql
cat >"$init" <<SQL
DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');
FLUSH PRIVILEGES;
ALTER USER 'root'@'localhost' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
CREATE DATABASE IF NOT EXISTS pharos CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE USER IF NOT EXISTS 'pharos'@'127.0.0.1', 'pharos'@'localhost', 'metricbeat'@'127.0.0.1';
ALTER USER 'pharos'@'127.0.0.1' IDENTIFIED BY '$MYSQL_PASSWORD', 'pharos'@'localhost' IDENTIFIED BY '$MYSQL_PASSWORD';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON pharos.* TO 'pharos'@'127.0.0.1', 'pharos'@'localhost';
ALTER USER 'metricbeat'@'127.0.0.1' IDENTIFIED BY '$METRICBEAT_MYSQL_PASSWORD' WITH MAX_USER_CONNECTIONS 3;
SQL

# flush-log 1: no acknowledged write is lost in a crash. log-warnings 1: health
# checks that connect and leave are no news. The socket lies in the data folder,
# by a relative name, because a socket's path may have 107 characters at most.
exec mariadbd --no-defaults \
	--datadir="$data" --socket=mysql.sock --pid-file=mysql.pid --init-file="$init" \
	--bind-address=127.0.0.1 --port="$MYSQL_PORT" --skip-name-resolve \
	--character-set-server=utf8mb4 --collation-server=utf8mb4_unicode_ci --default-time-zone=+00:00 \
	--innodb-flush-log-at-trx-commit=1 --innodb-buffer-pool-size=64M --innodb-log-file-size=32M \
	--skip-log-bin --performance-schema=OFF --max-connections=100 --log-warnings=1
