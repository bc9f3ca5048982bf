#!/bin/sh
# Installs what a bare machine lacks, by name, then the locked requirements into .venv.
# Usage: bootstrap.sh STAMP-FILE [services]. Safe to interrupt and to repeat; the stamp is written last.
#
#     packages of the system ----------+
#     uv -> all but PySpark -----------+-> services: PostgreSQL, archives of Java
#                       +-> PySpark -> bytecode
#
# PySpark is the largest download by far and is built after it. With `services` what else the platform needs is
# installed meanwhile, as `cryptoviz install` would do later.
set -eu
cd "$(dirname "$0")"
stamp=$1
services=${2:-}
started=$(date +%s)

say() { printf '  %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }

python=""
for candidate in python3 python3.13 python3.12 python3.11; do
    if have "$candidate" && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        python=$candidate
        break
    fi
done

first="" # what the environment itself needs
if [ -z "$python" ]; then
    first="python3 python3-venv"
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    first="$(basename "$(readlink -f "$(command -v "$python")")")-venv"
fi
later="" # what the services need
have java || later="$later openjdk-17-jre-headless"
have mvn || later="$later maven"
have setpriv || later="$later util-linux"

if [ -n "$first$later" ]; then
    if [ "$(id -u)" != 0 ] || ! have apt-get; then
        echo "error: this machine lacks:$(printf ' %s' $first $later)" >&2
        echo "next: install them (these are Debian's and Ubuntu's names; Python 3.11 or later, Java 17 or later)," >&2
        echo "      and PostgreSQL 15 to 18 with TimescaleDB if you want hypertables; then run the same command again" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    mkdir -p .local/logs
    log=.local/logs/bootstrap.log
    : >"$log"
    say "installing$(printf ' %s' $first $later)"
fi

install_packages() {
    apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@" ca-certificates >>"$log" 2>&1 || {
        tail -n 15 "$log"
        echo "error: these packages could not be installed: $*" >&2
        echo "next: install them by hand and run the same command again; the whole log is $log" >&2
        return 1
    }
}

update_lists() {
    apt-get -q update >>"$log" 2>&1 || { tail -n 15 "$log"; echo "apt-get update failed; see $log" >&2; return 1; }
}

install_later() {
    [ -n "$first" ] || update_lists || return 1
    # The name of the Java package differs between releases.
    apt-cache show openjdk-17-jre-headless >/dev/null 2>&1 ||
        later=$(echo "$later" | sed 's/openjdk-17-jre-headless/default-jre-headless/')
    # shellcheck disable=SC2086 # a list of words
    install_packages $later
}

if [ -n "$first" ]; then
    update_lists || exit 1
    # shellcheck disable=SC2086 # a list of words
    install_packages $first || exit 1
    [ -n "$python" ] || python=python3
fi
scratch=$(mktemp -d)
packages="" background=""
# Whoever interrupts it, or makes it fail, leaves nothing of it running.
trap 'for pid in $packages $background; do kill "$pid" 2>/dev/null || true; done; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
if [ -n "$later" ]; then
    { install_later && touch "$scratch/packages"; } || touch "$scratch/failed" &
    packages=$!
else
    touch "$scratch/packages"
fi

if ! [ -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
    rm -rf .venv
    "$python" -m venv .venv
fi
if ! [ -x .venv/bin/uv ]; then
    # The version and the hash are those of the lock file.
    awk '/^uv==/ { on = 1; print; next } /^[^ ]/ { on = 0 } on && /--hash/' requirements/dev.txt >"$scratch/uv.txt"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$scratch/uv.txt"
fi
uv() { command=$1; shift; .venv/bin/uv pip "$command" --quiet --python .venv/bin/python "$@"; }

say "installing the locked requirements into .venv"
if [ -n "$services" ] && ! .venv/bin/python -c 'import pyspark' 2>/dev/null; then
    awk '/^[^ #]/ { on = !/^pyspark==/ } on' requirements/dev.txt >"$scratch/first.txt"
    uv install --no-deps --require-hashes -r "$scratch/first.txt"
    uv install --no-deps --no-build-isolation --editable .
    {
        until [ -e "$scratch/packages" ]; do
            [ ! -e "$scratch/failed" ] || exit 1
            sleep 0.2
        done
        exec .venv/bin/python -m cryptoviz.cli install --no-train
    } &
    background=$!
fi
# Compiled now, once: every run of Dagster is a process of its own, and would compile for seconds where Python may not
# write beside its sources.
uv sync --compile-bytecode --require-hashes requirements/dev.txt
uv install --no-deps --no-build-isolation --editable .
[ -z "$packages" ] || wait "$packages"
[ ! -e "$scratch/failed" ] || exit 1
[ -z "$background" ] || wait "$background"
packages="" background=""
touch "$stamp"
say "environment ready after $(($(date +%s) - started)) s"
