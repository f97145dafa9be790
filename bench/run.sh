#!/usr/bin/env bash
# Builds the benches and prints their results as a table, and as JSON lines into build/bench.json.
# Compare figures of one run only: machines differ, and so do hours of the same one.
#
#   bench/run.sh [RECORDS [EVENTS [REPAIRED]]]     default 1000000 records, 20000 events, and a repair
#                                                  between two sets of 200000 (long form: 10000000)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

records=${1:-1000000}
events=${2:-20000}
repaired=${3:-200000}
./deploy/setup.sh test
mkdir -p build
if ! { cmake --preset release && cmake --build --preset release; } >build/bench-build.log 2>&1; then
    tail -n 40 build/bench-build.log
    echo 'bench/run.sh: the build failed; all of it: build/bench-build.log'
    exit 1
fi
export SUPSYNC_BIN=$PWD/build/release/bin
work=$(mktemp -d "${TMPDIR:-/tmp}/supsync-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=bench CA' \
    -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
for name in a b; do
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
        -keyout "$work/$name.key" -out "$work/$name.csr" 2>/dev/null
    openssl x509 -req -in "$work/$name.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial \
        -days 30 -extfile <(printf 'subjectAltName=DNS:%s\n' "$name") -out "$work/$name.pem" 2>/dev/null
done

out=$work/results.json
run() {
    printf '… %s\n' "$1" >&2
    "$@" | grep '^{' >>"$out"
}
run "$SUPSYNC_BIN/bench_parse" 2
run "$SUPSYNC_BIN/bench_lookup" "$work/lookup" "$records"
run "$SUPSYNC_BIN/bench_stream_echo" "$work/ca.pem" "$work/b.pem" "$work/b.key" b
run "$SUPSYNC_BIN/bench_repair" "$repaired"
mkdir "$work/mesh"
run "$SUPSYNC_BIN/bench_replication" "$work/mesh" "$work/ca.pem" "$work/a.pem" "$work/a.key" \
    "$work/b.pem" "$work/b.key"
mkdir "$work/join"
run "$SUPSYNC_BIN/bench_join" "$work/join" "$work/ca.pem" "$work/a.pem" "$work/a.key" \
    "$work/b.pem" "$work/b.key" "$records"
mkdir "$work/partition"
run "$SUPSYNC_BIN/bench_partition" "$work/partition" "$work/ca.pem" "$work/a.pem" "$work/a.key" \
    "$work/b.pem" "$work/b.key"
if ! run /usr/bin/python3 bench/link.py; then
    echo '… skipped: bench/link.py needs root, /dev/net/tun and network namespaces' >&2
fi
run /usr/bin/python3 bench/backfill.py
run /usr/bin/python3 bench/sqs.py "$events"
run "$SUPSYNC_BIN/bench_list_parse"
run /usr/bin/python3 bench/reconcile.py "$records"

cp "$out" build/bench.json
printf '\n%-14s %-34s %14s\n' bench figure value
jq -r '. as $r | del(.bench) | to_entries[] | [$r.bench, .key, (.value | tostring)] | @tsv' "$out" |
    while IFS=$'\t' read -r bench figure value; do
        printf '%-14s %-34s %14s\n' "$bench" "$figure" "$value"
    done
printf '\n%-48s %10s\n' 'side by side' ratio
jq -rs '
    (map({(.bench): .}) | add) as $b |
    [["check in process / RocksDB get alone, unknown address", $b.lookup.check_miss_per_s / $b.lookup.rocksdb_get_miss_per_s],
     ["check in process / RocksDB get alone, known address", $b.lookup.check_hit_per_s / $b.lookup.rocksdb_get_hit_per_s],
     ["read and classify / simdjson alone", $b.parse.read_classify_per_s / $b.parse.simdjson_per_s],
     ["replication delay p99 / (stream round trip + WAL sync, p99)", $b.replication.delay_p99_us / ($b.stream_echo.rtt_128_p99_us + $b.replication.wal_sync_p99_us)],
     ["healing a partition: bytes on the wire / the new decisions, uncompressed", $b.partition.bytes / $b.partition.lower_bound_bytes],
     ["replication delay over 150 ms, p99 / (one way + 50 ms)", (if $b.link then $b.link.delay_p99_ms / $b.link.allowed_p99_ms else 0 end)],
     ["backfill of sends / reading and classifying them, CPU", $b.backfill.send_of_parse_only],
     ["backfill of deliveries / the same", $b.backfill.delivery_of_parse_only],
     ["backfill of a mix with 3 % bounces / the same", $b.backfill.mix_of_parse_only],
     ["backfill of the mix with the event log / the same", $b.backfill.mix_logged_of_parse_only],
     ["backfill of a mix / Python that parses and upserts into SQLite", $b.backfill.mix_backfill_per_core_s / $b.backfill.mix_python_sqlite_per_core_s],
     ["joining by snapshot / scan and zstd of the same records alone", $b.join.records_per_s / $b.join.scan_zstd_per_s],
     ["lookup p99 while giving a snapshot / without", $b.join.lookup_p99_us_while_giving / $b.join.lookup_p99_us],
     ["agent from SQS / receive and delete only", $b.sqs.of_receive_delete_only],
     ["CPU of scan and plan / JSON parse alone, per entry", $b.scan.cpu_us_per_entry / $b.list_parse.json_us_per_entry]]
    | .[] | @tsv' "$out" | while IFS=$'\t' read -r what ratio; do
    printf '%-56s %.2f\n' "$what" "$ratio"
done
printf '\nJSON: build/bench.json\n'
