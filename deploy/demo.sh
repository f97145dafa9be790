#!/usr/bin/env bash
# Shows supsync's main job on a local AWS: a bounce in one Region is suppressed in every Region, and a
# clear undoes it everywhere. Installs what it takes to build (Debian 12, root or sudo), builds, runs,
# cleans up; exits 0 only if everything it announces was seen.
#
#   deploy/demo.sh           runs through and ends
#   deploy/demo.sh --keep    leaves it running and says how to talk to it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

keep=0
case ${1:-} in
'') ;;
--keep) keep=1 ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac

regions=(eu-west-1 us-east-1 ap-northeast-1)
key_id=AKIDEXAMPLE
secret=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
pids=()
declare -A agent_pid
failed=0

if [ -t 1 ]; then bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'; else bold='' green='' red='' plain=''; fi
say() { printf '%s\n' "$*"; }
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
seen() { printf '  %sseen%s  %s\n' "$green" "$plain" "$*"; }
missed() {
    printf '  %sMISSED%s  %s\n' "$red" "$plain" "$*"
    failed=1
}

title 'Set-up and build'
./deploy/setup.sh demo
launcher=()
if command -v ccache >/dev/null 2>&1; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
mkdir -p build
if ! { cmake --preset release -DSUPSYNC_SIM=ON "${launcher[@]}" &&
    cmake --build --preset release --target supsync supsync-sim; } >build/demo-build.log 2>&1; then
    tail -n 40 build/demo-build.log
    say 'demo.sh: the build failed; all of it: build/demo-build.log'
    exit 1
fi
bin=$PWD/build/release/bin
say "built: $bin/supsync, $bin/supsync-sim"

# --- a place for everything, and the way out ---
work=$(mktemp -d "${TMPDIR:-/tmp}/supsync-demo.XXXXXX")

cleanup() {
    local pid
    trap - EXIT INT TERM
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    if [ "$failed" -ne 0 ]; then
        say "logs are kept in $work"
    else
        rm -rf "$work"
    fi
}
finish() {
    local code=$?
    [ "$code" -eq 0 ] || failed=1
    cleanup
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# wait_for SECONDS COMMAND…: until the command succeeds.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.05
    done
}
now_ms() { date +%s%3N; }
elapsed() { awk -v a="$1" -v b="$(now_ms)" 'BEGIN { printf "%.2f", (b - a) / 1000 }'; }

# --- certificates: a throw-away CA, and one certificate a node that carries the node's name ---
title 'A throw-away CA and three node certificates'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=supsync demo CA' \
    -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
for region in "${regions[@]}"; do
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$region" \
        -keyout "$work/$region.key" -out "$work/$region.csr" 2>/dev/null
    openssl x509 -req -in "$work/$region.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial \
        -days 30 -extfile <(printf 'subjectAltName=DNS:%s\n' "$region") \
        -out "$work/$region.pem" 2>/dev/null
done
say "in $work"

# --- the local AWS ---
title 'Local AWS: three Regions'
(IFS=, && exec "$bin/supsync-sim" --listen 127.0.0.1:0 --regions "${regions[*]}" --rps 100 \
    --verify-signatures) >"$work/sim.out" 2>"$work/sim.log" &
pids+=($!)
sim_ready() { grep -q 'listening on ' "$work/sim.out"; }
wait_for 10 sim_ready || {
    missed 'the simulator did not start'
    exit 1
}
aws=http://$(sed -n 's/.*listening on //p' "$work/sim.out" | head -n 1)
say "supsync-sim at $aws, every signature checked"

# --- three agents ---
title 'Three agents, one a Region, replicating over mutual TLS'
# Ports that nobody listens on now.
free_ports() {
    local port found=0
    for port in $(shuf -i 20000-32000 -n 200); do
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue
        printf '%s\n' "$port"
        found=$((found + 1))
        [ "$found" -lt "$1" ] || return 0
    done
}
mapfile -t ports < <(free_ports ${#regions[@]})
for i in "${!regions[@]}"; do
    region=${regions[i]}
    mkdir -p "$work/$region.data"
    {
        printf 'node: %s\nregion: %s\ndata_dir: %s\n' "$region" "$region" "$work/$region.data"
        printf 'admin: { socket: %s }\n' "$work/$region.sock"
        printf 'aws: { endpoint_url: "%s" }\n' "$aws"
        printf 'sqs:\n  - { queue_url: "%s/000000000000/ses-events", receivers: 2 }\n' "$aws"
        printf 'ses: { mode: enforce, max_rps: 50 }\n'
        printf 'mesh:\n  cluster: demo\n  listen: "tls+tcp://127.0.0.1:%s"\n' "${ports[i]}"
        printf '  tls: { ca: %s, cert: %s, key: %s }\n' "$work/ca.pem" "$work/$region.pem" "$work/$region.key"
        printf '  peers:\n'
        for j in "${!regions[@]}"; do
            [ "$i" -eq "$j" ] || printf '    - { name: %s, url: "tls+tcp://127.0.0.1:%s" }\n' \
                "${regions[j]}" "${ports[j]}"
        done
    } >"$work/$region.yaml"
done
start_agent() {
    AWS_ACCESS_KEY_ID=$key_id AWS_SECRET_ACCESS_KEY=$secret AWS_EC2_METADATA_DISABLED=true \
        AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null \
        "$bin/supsync" agent --config "$work/$1.yaml" >>"$work/$1.log" 2>&1 &
    agent_pid[$1]=$!
    pids+=($!)
}
supsync() { # REGION ARGUMENT…
    local region=$1
    shift
    "$bin/supsync" "$1" --socket "$work/$region.sock" "${@:2}"
}
for region in "${regions[@]}"; do start_agent "$region"; done
for region in "${regions[@]}"; do
    if wait_for 20 supsync "$region" status; then
        seen "$region is up, healthy and connected to both others"
    else
        missed "$region is not healthy: see $work/$region.log"
        exit 1
    fi
done

# --- talking to SES as any sender would: curl signs with its own Signature Version 4 ---
send() { # REGION ADDRESS
    curl -sS --fail --max-time 10 -o /dev/null --user "$key_id:$secret" --aws-sigv4 "aws:amz:$1:ses" \
        -H 'Content-Type: application/json' "$aws/v2/email/outbound-emails" -d "{
            \"FromEmailAddress\":\"shop@example.com\",\"Destination\":{\"ToAddresses\":[\"$2\"]},
            \"Content\":{\"Simple\":{\"Subject\":{\"Data\":\"Hello\"},\"Body\":{\"Text\":{\"Data\":\"Hi\"}}}}}"
}
ses_list() { curl -sS --max-time 10 "$aws/_sim/$1/suppression"; }
listed() { ses_list "$1" | grep -qF "\"$2\""; }
listed_any_case() { ses_list "$1" | grep -qiF "\"$2\""; }
not_listed() { ! listed_any_case "$1" "$2"; }
blocked() { # REGION ADDRESS: does the agent say block?
    local code=0
    supsync "$1" check "$2" >/dev/null || code=$?
    [ "$code" -eq 1 ]
}
allowed() { supsync "$1" check "$2" >/dev/null; }

title '(a) A mail to a good and to a dead address, sent through SES in eu-west-1'
dead='Bounce.Customer@Example.COM'
on_list='Bounce.Customer@example.com' # SES keeps the case of the local part
key='bounce.customer@example.com'
begin=$(now_ms)
send eu-west-1 good@example.com
send eu-west-1 "$dead"
if wait_for 20 blocked eu-west-1 "$key"; then
    seen "the bounce of $dead arrived in eu-west-1 after $(elapsed "$begin") s"
    supsync eu-west-1 show "$key" | sed 's/^/        /'
else
    missed 'the bounce did not arrive in eu-west-1'
fi
if allowed eu-west-1 good@example.com; then
    seen 'good@example.com may be mailed'
else
    missed 'good@example.com is not allowed'
fi

title '(b) The address is in the SES list of every Region'
for region in "${regions[@]}"; do
    if wait_for 30 listed_any_case "$region" "$key"; then
        seen "$region lists it, $(elapsed "$begin") s after the mail was sent"
    else
        missed "$region does not list it"
    fi
done
if listed eu-west-1 "$on_list"; then
    seen "eu-west-1 lists it as SES spelled it: $on_list"
else
    missed "eu-west-1 does not list $on_list"
fi

title '(c) The same mail from us-east-1 does not go out'
if wait_for 20 blocked us-east-1 "$dead"; then
    seen 'supsync check in us-east-1, before the send:'
    { supsync us-east-1 check "$dead" || true; } | sed 's/^/        /'
else
    missed 'the agent in us-east-1 does not block it'
fi
echoes() { supsync us-east-1 status --output json | grep -Eq '"echoes": *[1-9]'; }
send us-east-1 "$dead"
if wait_for 20 echoes; then
    seen 'sent all the same, SES in us-east-1 blocks it: its event says OnAccountSuppressionList'
else
    missed 'SES in us-east-1 did not block it'
fi

title '(d) An operator in ap-northeast-1 clears it: gone everywhere, spelling and all'
begin=$(now_ms)
supsync ap-northeast-1 clear "$key" --note 'customer got a new mailbox' | sed 's/^/        /'
for region in "${regions[@]}"; do
    if wait_for 30 not_listed "$region" "$key" && wait_for 20 allowed "$region" "$dead"; then
        seen "$region: off the SES list and allowed, after $(elapsed "$begin") s"
    else
        missed "$region still has it"
    fi
done

title '(e) One agent is killed with SIGKILL in the middle of a stream, and catches up'
begin=$(now_ms)
n=60
for ((i = 1; i <= n; i++)); do
    send us-east-1 "bounce.$i@example.org"
    if [ "$i" -eq $((n / 3)) ]; then
        kill -KILL "${agent_pid[ap-northeast-1]}"
        wait "${agent_pid[ap-northeast-1]}" 2>/dev/null || true
        seen "SIGKILL to the agent in ap-northeast-1 after $i of $n bounces"
    fi
done
start_agent ap-northeast-1
# Every one of the n addresses, in each Region's list.
complete() {
    [ "$(ses_list "$1" | grep -oE '"bounce\.[0-9]+@example\.org"' | sort -u | wc -l)" -eq "$n" ]
}
for region in ap-northeast-1 "${regions[@]:0:2}"; do
    if wait_for 60 complete "$region"; then
        seen "$region lists all $n, $(elapsed "$begin") s after the first was sent"
    else
        missed "$region does not list all $n"
    fi
done
converged() { supsync "$1" status --output json | grep -Eq '"converged": *true'; }
for region in "${regions[@]}"; do
    wait_for 20 converged "$region" || missed "$region does not say that it has converged"
done
[ "$failed" -ne 0 ] || seen 'all three agents say that they have converged'
supsync ap-northeast-1 status | sed 's/^/        /' || true

if [ "$failed" -ne 0 ]; then
    title 'Not everything was seen.'
    exit 1
fi
title 'Everything was seen.'
if [ "$keep" -eq 1 ]; then
    say 'Still running; Ctrl-C ends it. In another terminal:'
    for region in "${regions[@]}"; do
        say "  $bin/supsync status --socket $work/$region.sock"
    done
    say "  curl $aws/_sim/eu-west-1/suppression"
    say "  $bin/supsync suppress someone@example.net --reason manual --note test --socket $work/eu-west-1.sock"
    wait "${agent_pid[eu-west-1]}" || true
fi
