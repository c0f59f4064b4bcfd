"""Comparing two clusters record by record, after a recovery point went from one to the other."""

import subprocess

from . import etcd, fhir
from .loading import DEPTH, Connections, Wrong, describe, each

SPINECTL_SECONDS = 600
KEYSPACES = (None, "fhir")  # None is `default`, which plain etcd clients see


def spinectl(program, *words, expect_success=True):
    result = subprocess.run([str(program), *map(str, words)], capture_output=True, text=True,
                            timeout=SPINECTL_SECONDS, stdin=subprocess.DEVNULL)
    if (result.returncode == 0) != expect_success:
        raise Wrong(f"spinectl {' '.join(map(str, words))} ended with {result.returncode}: "
                    f"{(result.stderr or result.stdout).strip()[-400:]}")
    return (result.stdout + result.stderr).strip()


def compare_keyspaces(left, right):
    """Every key of each keyspace: value, create and mod revision, version. Returns their number."""
    count = 0
    for keyspace in KEYSPACES:
        ours, theirs = (etcd.Client(node.endpoint, keyspace) for node in (left, right))
        revisions = [c.get(b"x")["header"]["revision"] for c in (ours, theirs)]
        name = keyspace or "default"
        if revisions[0] != revisions[1]:
            raise Wrong(f"keyspace {name}: revision {revisions[0]} was restored as {revisions[1]}")
        pages = [client.all(page=100) for client in (ours, theirs)]
        while True:
            first, second = (next(page, None) for page in pages)
            if first != second:
                raise Wrong(f"keyspace {name}: {first!r:.300} was restored as {second!r:.300}")
            if first is None:
                break
            count += 1
        ours.close()
        theirs.close()
    return count


def compare_histories(left, right, places, say):
    """The whole history of each resource: versions, deletions, contents, times. Returns the number
    of versions compared."""
    before, after = Connections(left), Connections(right)

    def versions(connections, turn, place):
        server = connections.server(turn)
        path, entries = f"{place}/_history", []
        while path:
            answer = server.get(path)
            if answer.status != 200:
                raise Wrong(f"GET {path}: {describe(answer)}")
            bundle = fhir.parse(answer.body)
            for entry in bundle.get("entry", []):
                entry.pop("fullUrl", None)  # holds the address of the server
                entry.get("response", {}).pop("location", None)
                entries.append(entry)
            path = next((link["url"].split("/fhir/", 1)[1] for link in bundle.get("link", [])
                         if link["relation"] == "next"), None)
        if not entries:
            raise Wrong(f"{place} has no history")
        return entries

    def compare(turn, place):
        first, second = versions(before, turn, place), versions(after, turn, place)
        wrong = fhir.difference(first, second)
        if wrong:
            raise Wrong(f"{place} was restored changed: {wrong}")
        return len(first)

    return sum(each(places, compare, DEPTH * 3, say, every=2000))


def compare_versions(left, right, places):
    """vread of each version of some resources, on both sides; returns their number."""
    count = 0
    for place in places:
        servers = fhir.Server(left[0].fhir), fhir.Server(right[-1].fhir)
        history = fhir.parse(servers[0].get(f"{place}/_history").body)
        for entry in history["entry"]:
            if "resource" not in entry:
                continue  # a deletion
            version = entry["resource"]["meta"]["versionId"]
            bodies = [s.get(f"{place}/_history/{version}") for s in servers]
            if bodies[0].status != 200 or bodies[0].body != bodies[1].body:
                raise Wrong(f"{place} version {version} was restored changed: "
                            f"{describe(bodies[0])} became {describe(bodies[1])}")
            count += 1
        for server in servers:
            server.close()
    return count
