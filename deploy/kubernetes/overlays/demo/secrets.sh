#!/bin/sh
# Makes the files of passwords that kustomization.yaml names, each once: a password that is there stays.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
once() { [ -s "secrets/$1" ] || printf '%s' "$2" >"secrets/$1"; }
for name in source_password target_password; do
    once "$name" "$(od -An -tx1 -N 16 /dev/urandom | tr -d ' \n')"
done
once old_url "postgres://postgres:$(cat secrets/source_password)@source:5432/shop"
once new_url "postgres://postgres:$(cat secrets/target_password)@target:5432/shop"
