#!/bin/sh
# Makes the files of passwords that compose.yaml names, each once: a password that is there stays.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
once() { [ -s "secrets/$1" ] || printf '%s\n' "$2" >"secrets/$1"; }
for name in source_password target_password app_password pooler_password; do
    once "$name" "$(od -An -tx1 -N 16 /dev/urandom | tr -d ' \n')"
done
once old_url "postgres://postgres:$(cat secrets/source_password)@source:5432/shop"
once new_url "postgres://postgres:$(cat secrets/target_password)@target:5432/shop"
once pooler_url "postgres://pooler_admin:$(cat secrets/pooler_password)@pgbouncer:6432/pgbouncer"
# Containers run as users of their own, and a secret is this very file for them.
chmod 644 secrets/*
