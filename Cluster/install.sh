# Debian packages that the verbs need. Sourced by run and test.sh.

# The system's interpreter: Debian's python3-grpcio belongs to it and to no other.
PYTHON=/usr/bin/python3

BUILD_PACKAGES=(librocksdb-dev libssl-dev libzstd-dev pkg-config g++ python3)
CLIENT_PACKAGES=(python3-grpcio)
TEST_PACKAGES=(etcd-client etcd-server nghttp2-client strace fuse3 libfuse3-dev gcc libc6-dev
    python3-grpcio python3-etcd3)

# Prints those of its arguments that are not installed.
missing_packages() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            echo "$package"
    done
}

# Installs what is missing, or ends with the command that would.
install_packages() {
    local missing become=()
    missing="$(missing_packages "$@" | tr '\n' ' ')"
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        if sudo -n true 2>/dev/null </dev/null; then
            become=(sudo -n)
        else
            echo "Missing packages. Run: sudo apt-get install -y --no-install-recommends $missing" >&2
            return 1
        fi
    fi
    echo "Installing $missing"
    # shellcheck disable=SC2086
    if ! "${become[@]}" env DEBIAN_FRONTEND=noninteractive \
        timeout 600 sh -c "{ apt-get install -qq -y --no-install-recommends $missing ||
            { apt-get update -qq && apt-get install -qq -y --no-install-recommends $missing; }; }" \
        </dev/null >/dev/null; then
        echo "Could not install. Run: apt-get update && apt-get install -y --no-install-recommends $missing" >&2
        return 1
    fi
}
