#!/bin/sh
# Takes the database of [upgrade] to its new server, up to the cutover: checks, copies, follows, compares. Run again, it goes on
# where it was. The engine, or the next run of this, keeps the new server current from then on.
set -eu
config=${CLEAVE_CONFIG:-/etc/cleave/cleave.toml}
cleave upgrade -C "$config" --no-progress --until verified
cleave status -C "$config"
