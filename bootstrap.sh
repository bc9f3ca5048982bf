#!/bin/sh
# Installs what a bare machine lacks, by name, then the locked requirements into .venv.
# Usage: bootstrap.sh STAMP-FILE. Safe to interrupt and to repeat; the stamp is written last.
set -eu
cd "$(dirname "$0")"
stamp=$1
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

missing=""
if [ -z "$python" ]; then
    missing="python3 python3-venv"
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    missing="$(basename "$(readlink -f "$(command -v "$python")")")-venv"
fi
have java || missing="$missing openjdk-17-jre-headless"
have mvn || missing="$missing maven"
have setpriv || missing="$missing util-linux"

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && have apt-get; then
        # The name of the Java package differs between releases.
        export DEBIAN_FRONTEND=noninteractive
        say "installing$(printf ' %s' $missing)"
        mkdir -p .local/logs
        log=.local/logs/bootstrap.log
        install() { apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@"; }
        apt-get -q update >"$log" 2>&1 || { tail -n 15 "$log"; echo "apt-get update failed; see $log" >&2; exit 1; }
        apt-cache show openjdk-17-jre-headless >/dev/null 2>&1 ||
            missing=$(echo "$missing" | sed 's/openjdk-17-jre-headless/default-jre-headless/')
        # shellcheck disable=SC2086 # a list of words
        install $missing ca-certificates >>"$log" 2>&1 || {
            tail -n 15 "$log"
            echo "error: these packages could not be installed: $missing" >&2
            echo "next: install them by hand and run the same command again; the whole log is $log" >&2
            exit 1
        }
        [ -n "$python" ] || python=python3
    else
        echo "error: this machine lacks:$(printf ' %s' $missing)" >&2
        echo "next: install them (these are Debian's and Ubuntu's names; Python 3.11 or later, Java 17 or later)," >&2
        echo "      and PostgreSQL 15 to 18 with TimescaleDB if you want hypertables; then run the same command again" >&2
        exit 1
    fi
fi

if ! [ -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
    rm -rf .venv
    "$python" -m venv .venv
fi
if ! [ -x .venv/bin/uv ]; then
    # The version and the hash are those of the lock file.
    pin=$(mktemp)
    awk '/^uv==/ { on = 1; print; next } /^[^ ]/ { on = 0 } on && /--hash/' requirements/dev.txt >"$pin"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$pin"
    rm -f "$pin"
fi
say "installing the locked requirements into .venv"
# Compiled now, once: every run of Dagster is a process of its own, and would compile for seconds where Python may not
# write beside its sources.
.venv/bin/uv pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes requirements/dev.txt
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
touch "$stamp"
say "environment ready after $(($(date +%s) - started)) s"
