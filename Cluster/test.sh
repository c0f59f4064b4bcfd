#!/usr/bin/env bash
# `Cluster/run test`: everything that can be checked on one machine. The last line is the tally.
set -uo pipefail

ROOT="${ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}"
export ROOT PYTHONDONTWRITEBYTECODE=1
cd "$ROOT" || exit 1
# One configuration for unit tests and servers alike, so that each file is compiled once.
CONFIGURATION="${SPINE_CONFIGURATION:-debug}"

# Limits in seconds, for machines three times slower than two ordinary cores.
BUILD_LIMIT=1500
UNIT_LIMIT=600
SCRIPT_LIMIT=600

. Cluster/install.sh
. Cluster/build.sh

scratch="$(mktemp -d)"
export SPINE_TALLY="$scratch/tally"
: >"$SPINE_TALLY"
child=

cleanup() {
    trap - EXIT
    if [ -n "$child" ]; then
        # timeout(1) passes it on; the scripts then end the servers they started.
        kill -TERM "$child" 2>/dev/null
        wait "$child" 2>/dev/null
    fi
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

failures() { awk '{ failed += $2 } END { print failed + 0 }' "$SPINE_TALLY"; }
tally() { echo "$1 $2 $3" >>"$SPINE_TALLY"; }

# Runs a command in the background and waits, so that a signal is handled at once.
bounded() {
    local limit="$1" code
    shift
    timeout --kill-after=30 "$limit" "$@" </dev/null &
    child=$!
    wait "$child"
    code=$?
    child=
    [ "$code" -ne 124 ] || echo "FAILED  not finished within $limit s: $*"
    return "$code"
}

# A script that keeps its own tally; ending badly without having counted a failure is one.
script() {
    local title="$1" before code
    shift
    echo
    echo "== $title"
    before="$(failures)"
    bounded "$SCRIPT_LIMIT" "$@"
    code=$?
    if [ "$code" -ne 0 ] && [ "$(failures)" -eq "$before" ]; then
        echo "FAILED  $title ended with $code"
        tally 0 1 0
    fi
}

# A command that is one check by its exit code.
single() {
    local title="$1" limit="$2"
    shift 2
    echo
    echo "== $title"
    if bounded "$limit" "$@"; then
        echo "ok      $title"
        tally 1 0 0
    else
        echo "FAILED  $title"
        tally 0 1 0
        return 1
    fi
}

finish() {
    echo
    awk '{ p += $1; f += $2; s += $3 }
        END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 }' "$SPINE_TALLY"
    exit
}

lint() {
    find Package.swift Sources Tests -name '*.swift' ! -name '*.pb.swift' ! -path '*/Generated/*' \
        -print0 | xargs -0 swift format lint --strict --parallel --configuration .swift-format
}
export -f lint

unit_tests() {
    local log="$scratch/unit.log" code passed failed skipped
    echo
    echo "== unit tests ($CONFIGURATION)"
    bounded "$UNIT_LIMIT" swift test -c "$CONFIGURATION" --skip-build >"$log" 2>&1
    code=$?
    passed=$(grep -E '^[^ ]+ Test .* passed after ' "$log" | grep -vc ' Test run with ')
    failed=$(grep -E '^[^ ]+ Test .* failed after ' "$log" | grep -vc ' Test run with ')
    skipped=$(grep -cE '^[^ ]+ Test .* skipped' "$log")
    grep -E '^[^ ]+ Test .* skipped|recorded an issue|^[^ ]+ Test .* failed after |^[^ ]+ Test run with ' \
        "$log"
    if [ "$code" -ne 0 ] && [ "$failed" -eq 0 ] || [ "$((passed + failed))" -eq 0 ]; then
        echo "FAILED  the unit test run ended with $code; what stopped it, and its last lines:"
        # A crash prints its reason first, then hundreds of lines of registers and images.
        grep -nE -A 1 'Fatal error|Precondition failed|Assertion failed|error: Exited with' "$log" |
            head -n 20
        grep -E -A 60 '^Thread [0-9]+ .*crashed' "$log" | grep -E '^Thread |^[0-9]+ .* in ' |
            head -n 20
        tail -n 30 "$log"
        failed=$((failed + 1))
    fi
    tally "$passed" "$failed" "$skipped"
}

install_packages "${BUILD_PACKAGES[@]}" || exit 1
# Without these the tests that need them say that they are skipped.
install_packages "${TEST_PACKAGES[@]}" || true

single "swift format lint" 300 bash -c lint
single "build ($CONFIGURATION, warnings are errors)" "$BUILD_LIMIT" \
    swift build -c "$CONFIGURATION" --build-tests --quiet || finish
unit_tests
build_binaries "$CONFIGURATION" || { tally 0 1 0; finish; }

if build_simulator; then
    shipped="$SIMULATOR"
    script "simulator" "$PYTHON" Tests/Simulation/simulate_test.py --program "$shipped"
else
    tally 0 1 0
fi
if [ -n "${shipped:-}" ] && build_simulator planted; then
    single "planted bugs are found (docs/planted-bugs.md)" "$SCRIPT_LIMIT" "$SIMULATOR" --planted
    script "planted bugs do not ship" "$PYTHON" Tests/Simulation/planted_test.py --bin "$BIN" \
        --simulate "$shipped" --planted "$SIMULATOR"
else
    tally 0 1 0
fi

script "local cluster commands" "$PYTHON" Tests/Clients/up_test.py --bin "$BIN"
script "etcdctl beside etcd" "$PYTHON" Tests/Clients/etcdctl_test.py --bin "$BIN"
script "gRPC clients" "$PYTHON" Tests/Clients/grpc_test.py --bin "$BIN"
script "spinectl" "$PYTHON" Tests/Clients/spinectl_test.py --bin "$BIN"
script "failures of members" "$PYTHON" Tests/Durability/failures_test.py --bin "$BIN"
script "power-loss layer" "$PYTHON" Tests/Durability/lossyfs_test.py
script "power loss" "$PYTHON" Tests/Durability/power_loss.py --bin "$BIN"
script "sync before acknowledgement" "$PYTHON" Tests/Durability/sync_order.py --bin "$BIN"
single "demo on generated patients" "$SCRIPT_LIMIT" \
    "$PYTHON" Cluster/demo.py --bin "$BIN" --generated-only
finish
