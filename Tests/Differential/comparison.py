"""What of two observations has to be equal: every field that is defined, but for what is named
here with its reason."""

# (message, field) -> why its value is not compared. Whether it is zero is compared all the same.
NOT_COMPARED = {
    ("ResponseHeader", "cluster_id"): "an identity of the cluster",
    ("ResponseHeader", "member_id"): "an identity of the member",
    ("ResponseHeader", "raft_term"): "terms count elections",
    ("StatusResponse", "leader"): "an identity of the member",
    ("StatusResponse", "version"): "the server's own version",
    ("StatusResponse", "dbSize"): "a size",
    ("StatusResponse", "dbSizeInUse"): "a size",
    ("StatusResponse", "raftIndex"): "what else is in the log is the server's own affair",
    ("StatusResponse", "raftTerm"): "terms count elections",
    ("StatusResponse", "raftAppliedIndex"): "what else is in the log is the server's own affair",
    ("HashResponse", "hash"): "a hash value",
    ("HashKVResponse", "hash"): "a hash value",
    ("Member", "ID"): "an identity of the member",
    ("Member", "peerURLs"): "each server listens on ports of its own",
    ("Member", "clientURLs"): "each server listens on ports of its own",
}

# Lists whose order is not defined, and why.
NOT_ORDERED = {
    ("LeaseLeasesResponse", "leases"): "ordered by time left, which is timing",
    ("LeaseTimeToLiveResponse", "keys"): "the keys of a lease are a set (a map in etcd)",
    ("MemberListResponse", "members"): "members are a set",
}

# Seconds left of a lease are equal when they are no more than this below what was granted.
LEASE_SECONDS_LATE = 60
TIMED = {("LeaseTimeToLiveResponse", "TTL"): "grantedTTL"}

# Fields that hold a lease id: one that the server chose is compared as the n-th that it chose.
LEASE_IDS = {("KeyValue", "lease"), ("LeaseGrantResponse", "ID"), ("LeaseStatus", "ID"),
             ("LeaseKeepAliveResponse", "ID"), ("LeaseTimeToLiveResponse", "ID")}


def canonical(value, message, layouts, chosen):
    """A decoded message with what is not compared taken out."""
    out = {}
    for name, kind in layouts[message].values():
        item = value[name]
        place = (message, name)
        base = kind.removeprefix("set ").removeprefix("*")
        if place in NOT_COMPARED:
            item = "some" if item else "none"
        elif place in LEASE_IDS and item in chosen:
            item = ("chosen", chosen.index(item))
        elif place in TIMED and value[TIMED[place]] - LEASE_SECONDS_LATE <= item:
            item = "about what was granted" if item <= value[TIMED[place]] else item
        elif base in layouts and isinstance(item, list):
            item = [canonical(one, base, layouts, chosen) for one in item]
        elif base in layouts and item is not None:
            item = canonical(item, base, layouts, chosen)
        if place in NOT_ORDERED:
            item = sorted(item, key=repr)
        out[name] = item
    return out


def difference(expected, found, path=""):
    """The first place where two canonical values differ, as "path: expected / found", or None."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in [*expected, *(name for name in found if name not in expected)]:
            inner = f"{path}.{name}" if path else str(name)
            if name not in expected or name not in found:
                return f"{inner}: {short(expected.get(name))} / {short(found.get(name))}"
            what = difference(expected[name], found[name], inner)
            if what:
                return what
        return None
    if isinstance(expected, list) and isinstance(found, list):
        for i, (a, b) in enumerate(zip(expected, found)):
            what = difference(a, b, f"{path}[{i}]")
            if what:
                return what
        if len(expected) != len(found):
            rest = (expected if len(expected) > len(found) else found)[min(len(expected), len(found))]
            return f"{path}: {len(expected)} / {len(found)} of them; the first more: {short(rest)}"
        return None
    return None if expected == found else f"{path}: {short(expected)} / {short(found)}"


def short(value):
    text = repr(value)
    return text if len(text) <= 200 else text[:190] + f"… ({len(text)} characters)"
