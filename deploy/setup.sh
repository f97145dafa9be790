#!/usr/bin/env bash
# Installs what supsync needs on Debian 12, as root or with sudo, without asking anything. When all
# of it is there already, nothing is downloaded and apt is not called.
#
#   deploy/setup.sh build     what it takes to build
#   deploy/setup.sh demo      that, and what the demo uses besides
#   deploy/setup.sh test      that, and what the tests use besides
set -euo pipefail

build_packages=(
    gcc g++ cmake ninja-build pkg-config protobuf-c-compiler
    libprotobuf-c-dev librocksdb-dev libnng-dev libmbedtls-dev libmicrohttpd-dev libyaml-dev
    libidn2-dev libsodium-dev libxxhash-dev libzstd-dev libsimdjson-dev zlib1g-dev libcurl4-openssl-dev
    libssl-dev libjansson-dev libcmocka-dev
)
demo_packages=(ca-certificates curl openssl)
test_packages=(
    awscli python3 python3-boto3 python3-jsonschema
    clang libclang-rt-dev clang-format clang-tidy cppcheck shellcheck
    git iproute2 jq procps util-linux zstd
)

usage() {
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 2
}

# Debian's own Node.js (18) is enough, but whatever is on the PATH is taken first.
add_node() {
    command -v node >/dev/null 2>&1 || wanted+=(nodejs)
    command -v npm >/dev/null 2>&1 || wanted+=(npm)
}

# Sets missing to those of wanted that dpkg does not know as installed.
find_missing() {
    local package installed
    installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null || true)
    missing=()
    for package in "${wanted[@]}"; do
        grep -qxF "installed $package" <<<"$installed" || missing+=("$package")
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo -n "$@"
    else
        printf 'setup.sh: not root and no sudo; as root: apt-get install %s\n' "${missing[*]}" >&2
        exit 1
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a apt-get -q -y \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@"
}

wanted=("${build_packages[@]}")
case ${1:-} in
build) ;;
demo) wanted+=("${demo_packages[@]}") ;;
test)
    wanted+=("${demo_packages[@]}" "${test_packages[@]}")
    add_node
    ;;
*) usage ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    printf 'setup.sh: this is not Debian; what is needed, by Debian'\''s names: %s\n' "${wanted[*]}" >&2
    exit 1
fi
find_missing
if [ ${#missing[@]} -eq 0 ]; then
    printf 'setup.sh: all %d packages are installed\n' "${#wanted[@]}"
    exit 0
fi
printf 'setup.sh: installing %s\n' "${missing[*]}"
apt update
apt install --no-install-recommends "${missing[@]}"
find_missing
if [ ${#missing[@]} -gt 0 ]; then
    printf 'setup.sh: still missing: %s\n' "${missing[*]}" >&2
    exit 1
fi
