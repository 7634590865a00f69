#!/bin/sh
# The engine, as a service: keeps streams going, executes what other commands ask for, answers probes.
set -eu
config=${CLEAVE_CONFIG:-/etc/cleave/cleave.toml}
exec cleave run -C "$config" --no-progress --wait --listen "${CLEAVE_LISTEN:-0.0.0.0:9732}"
