# shellcheck shell=bash
# Makes Metricbeat's account, which may ask MySQL for its status and nothing else.
# The official image sources this once, when its volume is empty.
docker_process_sql <<SQL
CREATE USER 'metricbeat'@'%' IDENTIFIED BY '$METRICBEAT_MYSQL_PASSWORD' WITH MAX_USER_CONNECTIONS 3;
SQL
