#!/bin/sh
# Run once by the source's image, before seed.sql: the application's role, with the password of the secret.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$(head -n 1 /run/secrets/app_password)" -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'SQL'
create role app login password :'password';
SQL
