#!/usr/bin/env bash
# Builds and tests everything, from any directory; installs what is missing first (Debian 12, root
# or sudo). Ends with 1 if any part failed, after all parts have run.
#
#   tests/run.sh            release, ASan + UBSan and TSan builds
#   tests/run.sh --quick    the release build only, with all tests but clang-tidy's
#   tests/run.sh --long     clang-tidy too, the slow end-to-end tests with ASan and TSan, and their
#                           scenarios in full size (SUPSYNC_LONG=1) in the release build
#
# Which tests run where is decided by their ctest labels:
#   unit, layer-NAME   tests/unit/NAME: all with ASan, those of threaded layers with TSan
#   e2e                whole programs: with ASan and with TSan
#   speed              measure or need speed: release only
#   slow               minutes each: release only, unless --long
#   long               the longest forms, an hour in all: release only, with --long
#   checks, tidy       look at the sources: once, with the release build; tidy with --long
# Each part's full output is kept in build/PRESET/run.log.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick=0
slow='|slow'
tidy=''
longer=''
long=''
case ${1:-} in
'') ;;
--quick) quick=1 ;;
--long) slow='' tidy='|tidy' longer='|long' long=1 ;;
*)
    sed -n '2,17s/^# \{0,1\}//p' tests/run.sh
    exit 2
    ;;
esac

deploy/setup.sh test
if ! tests/node/install.sh >/dev/null; then
    echo 'run.sh: npm could not install what tests in Node need (tests/node/install.sh); those tests will fail' >&2
fi

jobs=$(nproc)
configure=()
if command -v ccache >/dev/null 2>&1; then
    configure+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi

export SUPSYNC_CHECKS_STRICT=1 # the tools were installed: a check that skips has failed
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$PWD/tests/sanitizers/lsan.supp:print_suppressions=0
export TSAN_OPTIONS=suppressions=$PWD/tests/sanitizers/tsan.supp:halt_on_error=1:second_deadlock_stack=1

summary=()
failed=0

# The sanitizers of GCC 12 and clang 14 want an address space that newer kernels randomise more than
# they can bear. Not every container lets a process ask for less; then the tests run as they are.
fixed_layout=()
if setarch "$(uname -m)" -R true 2>/dev/null; then
    fixed_layout=(setarch "$(uname -m)" -R)
fi

note() {
    printf '\n=== %s\n' "$*"
}

# The last of what ctest printed: how many passed, and which did not.
closing_lines() {
    awk '/tests passed, .* tests failed out of|^No tests were found/ { on = 1 } on' "$1"
}

# part PRESET CTEST-ARGUMENT…: configure, build, test. Never ends the script; what could be built is
# tested even if not all could.
part() {
    local preset=$1 began=$SECONDS log state=passed
    shift
    log=build/$preset/run.log
    mkdir -p "build/$preset"
    note "$preset: build"
    if ! { cmake --preset "$preset" "${configure[@]}" &&
        cmake --build --preset "$preset" -j "$jobs" -- -k 0; } >"$log" 2>&1; then
        grep -v '^\[[0-9/]*\] ' "$log" | tail -n 100
        state='BUILD FAILED'
    fi
    [ "$state" != passed ] || printf 'built in %d s\n' $((SECONDS - began))
    if [ -f "build/$preset/CTestTestfile.cmake" ]; then
        note "$preset: ctest $*"
        if ! "${fixed_layout[@]}" ctest --test-dir "build/$preset" --output-on-failure -j "$jobs" \
            --timeout 300 --no-tests=error "$@" 2>&1 | tee -a "$log"; then
            [ "$state" != passed ] || state='TESTS FAILED'
        fi
    fi
    [ "$state" = passed ] || failed=1
    summary+=("$(printf '%-8s %-12s %4d s' "$preset" "$state" $((SECONDS - began)))")
}

threaded='layer-(base|store|mesh|aws|service|http|agent)'
if [ "$quick" -eq 1 ]; then
    part release -LE '^(tidy|long)$'
else
    [ -z "$long" ] || export SUPSYNC_LONG=1 # scenarios in full size, here only
    part release -L "^(checks|speed|slow$tidy$longer)\$"
    unset SUPSYNC_LONG
    part asan -LE "^(checks|tidy|speed|long$slow)\$"
    part tsan -L "^($threaded|e2e)\$" -LE "^(speed$slow)\$"
fi

for log in build/release/run.log build/asan/run.log build/tsan/run.log; do
    [ -f "$log" ] || continue
    [ "$quick" -eq 0 ] || [ "$log" = build/release/run.log ] || continue
    note "$log ends"
    closing_lines "$log"
done
note "summary, $SECONDS s in all"
printf '%s\n' "${summary[@]}"
if [ "$failed" -ne 0 ]; then
    echo 'FAILED'
    exit 1
fi
echo 'all passed'
