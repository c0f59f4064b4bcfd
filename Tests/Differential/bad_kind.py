"""Requests that no careful client makes. Each kind of them is a method of its own; what could change
state if it were taken is worded so that it changes nothing, or the same everywhere."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "Cluster"))
from lib import etcd  # noqa: E402
from space import INT64_MAX, INT64_MIN  # noqa: E402

REQUEST_BYTES_MAX = 3 * 512 * 1024  # etcd's --max-request-bytes
OPERATIONS_MAX = 128  # etcd's --max-txn-ops


class Bad:
    name = "bad"
    runs = ("Raw",)

    def __init__(self):
        self.weights = {name.removeprefix("draw_"): 1 for name in dir(self)
                        if name.startswith("draw_")}
        self.weights["mutated"] = 6

    def draw(self, space, name):
        return getattr(self, "draw_" + name)(space)

    def begin(self, session, name, fields):
        return session.raw(fields["path"], fields["message"], fields["body"])

    # Keys, values, leases

    def draw_empty_key(self, space):
        name = space.chance.choice(["Put", "Range", "DeleteRange"])
        fields = {"key": b""}
        if name != "Put" and space.maybe(0.5):
            fields["range_end"] = space.chance.choice([b"\0", b"z"])
        return name, fields

    def draw_empty_key_in_txn(self, space):
        wrong = space.chance.choice([
            {"request_put": {"key": b"", "value": b"1"}}, {"request_range": {"key": b""}},
            {"request_delete_range": {"key": b"", "range_end": b"\0"}}])
        return "Txn", wrap(space, [{"request_range": {"key": space.key()}}, wrong])

    def draw_empty_key_in_compare(self, space):
        return "Txn", {"compare": [{"key": b"", "range_end": space.chance.choice([b"", b"\0"])}],
                       "success": [{"request_range": {"key": space.key()}}]}

    def draw_value_provided(self, space):
        return "Put", {"key": space.key(), "value": b"given", "ignore_value": 1}

    def draw_lease_provided(self, space):
        return "Put", {"key": space.key(), "value": b"1", "lease": 5, "ignore_lease": 1}

    def draw_several_wrongs_in_a_txn(self, space):
        """Which of them is told?"""
        wrongs = [
            {"request_put": {"key": space.key(), "value": b"1", "ignore_value": 1}},
            {"request_put": {"key": space.key(), "lease": 5, "ignore_lease": 1}},
            {"request_put": {"key": b"", "value": b"1"}},
            {"request_put": {"key": b"twice"}}, {"request_put": {"key": b"twice"}},
            {"request_put": {"key": b"lease", "lease": 404}},
            {"request_put": {"key": b"never there", "ignore_value": 1}},
            {"request_range": {"key": b"a", "revision": ("now", 100)}},
            {"request_range": {"key": b"a", "revision": ("floor", -1)}},
            {"request_range": {"key": b""}}]
        chosen = space.chance.sample(wrongs, 3)
        return "Txn", wrap(space, chosen)

    def draw_duplicates(self, space):
        """Keys put twice, put and deleted, in lists and in nested ones."""
        key = space.key()
        pieces = [{"request_put": {"key": key, "value": b"1"}},
                  {"request_delete_range": {"key": key}},
                  {"request_delete_range": space.range()},
                  {"request_txn": {"success": [{"request_put": {"key": key, "value": b"2"}}]}},
                  {"request_txn": {"failure": [{"request_put": {"key": key, "value": b"3"}}]}},
                  {"request_txn": {"success": [{"request_delete_range": {"key": key}}]}},
                  {"request_txn": {"success": [{"request_put": {"key": space.key()}}],
                                   "failure": [{"request_put": {"key": space.key()}}]}}]
        chosen = [space.chance.choice(pieces) for _ in range(space.chance.choice([2, 2, 3]))]
        return "Txn", {space.chance.choice(["success", "failure"]): chosen}

    # Numbers

    def draw_sort_option(self, space):
        """A sort target that does not exist ends etcd 3.4 (scripts.py has it, for 3.5)."""
        return "Range", {"key": b"a", "range_end": b"c",
                         "sort_order": space.chance.choice([3, 99, -1]), "sort_target": space.enum(4)}

    def draw_sort_option_in_txn(self, space):
        name, fields = self.draw_sort_option(space)
        return "Txn", wrap(space, [{"request_range": fields}])

    def draw_compare_result(self, space):
        return "Txn", {"compare": [{"key": space.key(), "result": space.chance.choice([4, 99, -1]),
                                    "target": space.enum(4)}],
                       "success": [{"request_range": {"key": b"a"}}]}

    def draw_compare_target(self, space):
        return "Txn", {"compare": [{"key": space.key(), "target": space.chance.choice([5, 99, -1]),
                                    "result": space.enum(3)}],
                       "failure": [{"request_range": {"key": b"a"}}]}

    def draw_revisions(self, space):
        fields = space.range()
        fields["revision"] = space.chance.choice(
            [INT64_MAX, INT64_MIN, -1, ("now", 1), ("floor", -1), 1])
        return "Range", fields

    def draw_compaction(self, space):
        return "Compact", {"revision": space.chance.choice([0, -1, INT64_MIN, INT64_MAX, ("now", 1)])}

    # Sizes

    def draw_too_large(self, space):
        size = ("times", space.chance.choice([REQUEST_BYTES_MAX + 1, REQUEST_BYTES_MAX + 99_999]))
        put = {"key": b"large", "value": size}
        return space.chance.choice([
            ("Put", put), ("Txn", {"success": [{"request_put": put}]}),
            ("Put", {"key": size, "value": b"1"}), ("DeleteRange", {"key": size})])

    def draw_large(self, space):
        return "Put", {"key": b"large", "value": ("times", REQUEST_BYTES_MAX - 500), "prev_kv": 1}

    def draw_too_large_for_the_transport(self, space):
        return "Put", {"key": b"large", "value": ("times", 3 << 20)}

    def draw_too_large_reads(self, space):
        """What is not proposed is not held against the limit of what is."""
        return space.chance.choice([
            ("Range", {"key": ("times", REQUEST_BYTES_MAX + 10)}),
            ("Txn", {"success": [{"request_range": {"key": ("times", REQUEST_BYTES_MAX + 10)}}]})])

    def draw_too_many_operations(self, space):
        count = space.chance.choice([OPERATIONS_MAX, OPERATIONS_MAX + 1])
        side = space.chance.choice(["success", "failure", "compare"])
        one = {"key": b"a"} if side == "compare" else {"request_range": {"key": b"a"}}
        return "Txn", {side: [one] * count}

    def draw_too_many_nested_operations(self, space):
        outer = space.chance.choice([1, 20, 100])
        inner = OPERATIONS_MAX - outer + space.chance.choice([0, 1])
        nested = {"request_txn": {"success": [{"request_range": {"key": b"a"}}] * inner}}
        return "Txn", {"success": [{"request_range": {"key": b"b"}}] * (outer - 1) + [nested]}

    def draw_deep(self, space):
        fields = {"success": [{"request_range": {"key": b"a"}}]}
        for _ in range(space.chance.choice([8, 30, 32, 33, 60])):
            fields = {"success": [{"request_txn": fields}]}
        return "Txn", fields

    # Bytes

    def draw_operation_without_request(self, space):
        return "Txn", wrap(space, [{}])

    def draw_unknown_method(self, space):
        path = space.chance.choice(["/etcdserverpb.KV/Fly", "/no.such.Service/Get"])
        return "Raw", {"path": path, "message": "PutResponse", "body": b""}

    def draw_empty_body(self, space):
        return raw(space.chance.choice(["Range", "Put", "DeleteRange", "Txn"]), b"")

    def draw_unknown_field(self, space):
        extra = space.chance.choice([b"\xf8\x3f\x07", b"\xfa\x3f\x02xy", b"\xfd\x3f1234",
                                     b"\xf9\x3f12345678"])
        method, body = self.plain(space)
        return raw(method, body + extra)

    def draw_mutated(self, space):
        method, body = self.plain(space)
        body = bytearray(body)
        for _ in range(space.chance.choice([1, 1, 1, 2, 4])):
            at = space.chance.randrange(len(body) + 1)
            kind = space.chance.randrange(5)
            if kind == 0:
                del body[at:]
            elif kind == 1 and at < len(body):
                body[at] ^= 1 << space.chance.randrange(8)
            elif kind == 2:
                body.insert(at, space.chance.randrange(256))
            elif kind == 3:
                body[at:at] = b"\xff" * space.chance.choice([1, 9, 10, 11])
            else:
                del body[at:at + 1]
        return raw(method, bytes(body))

    def plain(self, space):
        """A method and an encoded request without symbols."""
        end = space.chance.choice([b"", b"b", b"\0"])
        return space.chance.choice([
            ("Range", etcd.encode("RangeRequest", {
                "key": space.key(), "range_end": end, "limit": 3, "sort_order": 1,
                "keys_only": 1})),
            ("Range", etcd.encode("RangeRequest", {"key": space.key(), "range_end": end})),
            ("Put", etcd.encode("PutRequest", {
                "key": space.key(), "value": space.value(), "prev_kv": 1})),
            ("DeleteRange", etcd.encode("DeleteRangeRequest", {
                "key": space.key(), "prev_kv": 1})),
            ("Txn", etcd.encode("TxnRequest", {
                "compare": [{"key": space.key(), "target": 3, "value": b"1"}],
                "success": [{"request_put": {"key": space.key(), "value": b"1"}}],
                "failure": [{"request_range": {"key": space.key()}}]}))])


def raw(method, body):
    return "Raw", {"path": etcd.path_of(method), "message": etcd.response_of(method), "body": body}


def wrap(space, operations):
    """A transaction that runs them, in a nested one now and then."""
    if space.maybe(0.4):
        operations = [{"request_txn": {"success": operations}}]
    # An absent key has version 0, so that the side is known.
    side = space.chance.choice([0, 1])
    return {"compare": [{"key": b"never there", "target": 0, "version": side}],
            ("success", "failure")[side]: operations}
