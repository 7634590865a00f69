#!/bin/sh
# PgBouncer before the database that is upgraded. Its databases stand in a file of their own, which Cleave points at the new
# server; it is written here only if it is not there yet, so that a restart after a cutover does not lead back.
set -eu
folder=${POOLER_FOLDER:-/pooler}
run=${POOLER_RUN:-/tmp}
password() { head -n 1 "$1"; }
if [ ! -s "$folder/databases.ini" ]; then
    printf '[databases]\n%s = host=%s port=%s dbname=%s\n' "$POOLER_DATABASE" "$POOLER_HOST" "${POOLER_PORT:-5432}" "$POOLER_DATABASE" >"$folder/databases.ini"
fi
umask 077
printf '"app" "%s"\n"pooler_admin" "%s"\n' "$(password "$APP_PASSWORD_FILE")" "$(password "$POOLER_PASSWORD_FILE")" >"$run/users.txt"
cat >"$run/pgbouncer.ini" <<INI
%include $folder/databases.ini
[pgbouncer]
listen_addr = ${POOLER_LISTEN:-0.0.0.0}
listen_port = ${POOLER_LISTEN_PORT:-6432}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $run/users.txt
admin_users = pooler_admin
pool_mode = transaction
max_client_conn = 500
default_pool_size = 20
ignore_startup_parameters = extra_float_digits,options
server_login_retry = 1
INI
exec "${PGBOUNCER:-pgbouncer}" "$run/pgbouncer.ini"
