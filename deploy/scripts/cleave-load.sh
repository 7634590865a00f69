#!/bin/sh
# Writes orders through the pooler until it is told to stop, and says every hundred how many were written. PGHOST, PGPORT,
# PGUSER and PGDATABASE say where; the password is the first line of LOAD_PASSWORD_FILE. LOAD_ORDERS stops it after so many.
set -eu
PGPASSWORD=$(head -n 1 "$LOAD_PASSWORD_FILE")
export PGPASSWORD
written=0
failed=0
trap 'echo "orders written: $written, failed: $failed"; exit 0' TERM INT
while [ "${LOAD_ORDERS:-0}" = 0 ] || [ "$written" -lt "$LOAD_ORDERS" ]; do
    if psql -qXAt -v ON_ERROR_STOP=1 -c 'insert into shop_order (customer_id, amount) select id, 10 from customer order by random() limit 1' >/dev/null; then
        written=$((written + 1))
        [ $((written % 100)) -ne 0 ] || echo "orders written: $written, failed: $failed"
    else
        # A client's own patience: the next try is a second later.
        failed=$((failed + 1))
        sleep 1
    fi
done
echo "orders written: $written, failed: $failed"
