#!/bin/sh
# Writes Sources/WireProtocol/Generated from the files beside this script. The output is committed:
# builds do not need protoc. Needs Debian's protobuf-compiler; the Swift plugin is built from the
# version of swift-protobuf that the package resolves to, outside the repository.
#
#   Sources/WireProtocol/Protos/generate.sh
#
# PROTOC_GEN_SWIFT names a plugin that is built already.
set -eu

protos=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$protos/../../.." && pwd)
generated=$protos/../Generated

command -v protoc >/dev/null || {
    echo "protoc is missing: apt-get install protobuf-compiler" >&2
    exit 1
}

plugin=${PROTOC_GEN_SWIFT:-}
if [ -z "$plugin" ]; then
    checkout=$root/.build/checkouts/swift-protobuf
    [ -d "$checkout" ] || swift package --package-path "$root" resolve
    version=$(git -C "$checkout" rev-parse HEAD)
    scratch=${XDG_CACHE_HOME:-$HOME/.cache}/spine-protoc-gen-swift/$version
    if [ ! -x "$scratch/protoc-gen-swift" ]; then
        mkdir -p "$scratch"
        cp -R "$checkout" "$scratch/source"
        swift build -c release --package-path "$scratch/source" --product protoc-gen-swift
        cp "$scratch/source/.build/release/protoc-gen-swift" "$scratch/"
        rm -rf "$scratch/source"
    fi
    plugin=$scratch/protoc-gen-swift
fi

rm -rf "$generated"
mkdir -p "$generated"
cd "$protos"
protoc --plugin=protoc-gen-swift="$plugin" \
    --swift_opt=Visibility=Package --swift_opt=FileNaming=PathToUnderscores \
    --swift_out="$generated" \
    etcd/*.proto spine/v1/*.proto
echo "wrote $(ls "$generated" | wc -l) files to Sources/WireProtocol/Generated"
