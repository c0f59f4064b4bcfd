# Builds the two programs once per change. Sourced by run and test.sh; sets BIN.

# A build that changed nothing still costs SwiftPM seconds, so a stamp remembers when the last
# one began: whatever is newer (files, and directories that gained or lost one) asks for another.
build_binaries() {
    local configuration="$1" stamp product log
    case "$configuration" in
    debug | release) ;;
    *)
        echo "SPINE_CONFIGURATION is '$configuration': use debug or release" >&2
        return 2
        ;;
    esac
    command -v swift >/dev/null ||
        { echo "swift is not in PATH: install Swift 6.3 (https://www.swift.org/install)" >&2; return 1; }
    BIN="$ROOT/.build/$configuration"
    stamp="$ROOT/.build/built-$configuration"
    if [ -x "$BIN/spined" ] && [ -x "$BIN/spinectl" ] && [ -e "$stamp" ] &&
        [ -z "$(find "$ROOT/Sources" "$ROOT/Package.swift" -newer "$stamp" -print -quit)" ]; then
        return 0
    fi
    echo "Building spined and spinectl ($configuration); the first time takes minutes"
    mkdir -p "$ROOT/.build"
    touch "$stamp.begun"
    log="$ROOT/.build/build-$configuration.log"
    for product in spined spinectl; do
        if ! (cd "$ROOT" && timeout --kill-after=10 1500 \
            swift build -c "$configuration" --product "$product" </dev/null >"$log" 2>&1); then
            tail -n 40 "$log" >&2
            echo "The build of $product failed; the whole output is in $log" >&2
            return 1
        fi
    done
    mv "$stamp.begun" "$stamp"
}

# Builds the simulator, optimised, if anything is newer; sets SIMULATOR. It links the pure ring
# alone, so none of the C libraries is needed to build it.
#
# `build_simulator planted`: the one with the planted bugs, apart from everything else.
build_simulator() {
    local log="$ROOT/.build/build-simulate.log" place="$ROOT/.build" options=()
    if [ "${1:-}" = planted ]; then
        log="$ROOT/.build/build-simulate-planted.log"
        place="$ROOT/.build/planted"
        options=(--traits PlantedBugs --scratch-path "$place")
    fi
    SIMULATOR="$place/release/simulate"
    command -v swift >/dev/null ||
        { echo "swift is not in PATH: install Swift 6.3 (https://www.swift.org/install)" >&2; return 1; }
    if [ -x "$SIMULATOR" ] &&
        [ -z "$(find "$ROOT/Sources" "$ROOT/Package.swift" -newer "$SIMULATOR" -print -quit)" ]; then
        return 0
    fi
    echo "Building simulate (release); the first time takes minutes" >&2
    mkdir -p "$ROOT/.build"
    if ! (cd "$ROOT" && timeout --kill-after=10 1500 \
        swift build -c release --product simulate "${options[@]}" </dev/null >"$log" 2>&1); then
        tail -n 40 "$log" >&2
        echo "The build of simulate failed; the whole output is in $log" >&2
        return 1
    fi
    touch "$SIMULATOR"
}
