"""Programs written out: what chance seldom meets, and what once differed."""

from bad_kind import raw

PUTS = [("Put", {"key": b"a", "value": b"1"}), ("Put", {"key": b"b", "value": b"2"})]

# More keys than Go sorts without changing the order of equal ones.
MANY = [("Put", {"key": b"t%02d" % i, "value": b"%d" % (i * 7 % 5 % 3)}) for i in range(40)]

# (title, kind that has to be on, program)
SCRIPTS = [
    ("a sort target that does not exist", "bad", [
        ("Range", {"key": b"a", "sort_order": 1, "sort_target": 5})]),
    ("known fields of another wire type", "bad", [
        *PUTS, raw("Range", b"\x0a\x01a\x1a\x01x"), raw("Range", b"\x0a\x01a\x10\x07"),
        raw("Put", b"\x08\x05")]),
    ("an empty range_end that is written", "bad", [
        *PUTS, raw("Range", b"\x0a\x01a\x12\x00")]),
    ("a length near 2^64", "bad", [
        *PUTS, raw("Put", b"\x0a" + b"\xff" * 9 + b"\x02a")]),
    ("a put that keeps a value deleted before it", "kv", [
        *PUTS, ("Txn", {"success": [
            {"request_delete_range": {"key": b"a", "range_end": b"\0"}},
            {"request_put": {"key": b"a", "ignore_value": 1}}]})]),
    ("a watch from a negative revision", "watch", [
        *PUTS, ("WatchCreate", {"stream": 0, "key": b"a", "start_revision": -1})]),
    ("a watch from the compaction's own revision", "watch", [
        *PUTS, ("DeleteRange", {"key": b"a"}), ("Compact", {"revision": 4, "physical": 1}),
        ("WatchCreate", {"stream": 0, "key": b"a", "range_end": b"c", "start_revision": 4,
                         "prev_kv": 1}),
        ("WatchCollect", {"stream": 0}),
        ("Txn", {"success": [
            {"request_put": {"key": b"new"}},
            {"request_delete_range": {"key": b"b", "range_end": b"\0"}},
            {"request_put": {"key": b"b", "value": b"again"}}]}),
        ("WatchCollect", {"stream": 0}),
        ("Compact", {"revision": ("now", 0), "physical": 1}),
        ("WatchCreate", {"stream": 0, "key": b"\0", "range_end": b"\0", "prev_kv": 1,
                         "start_revision": ("floor", 0)}),
        ("WatchCollect", {"stream": 0})]),
    ("prev_kv of a key that one revision changes twice", "watch", [
        *PUTS, ("WatchCreate", {"stream": 0, "key": b"\0", "range_end": b"\0", "prev_kv": 1}),
        ("Txn", {"success": [
            {"request_put": {"key": b"new"}},
            {"request_delete_range": {"key": b"n", "range_end": b"\0"}}]}),
        ("Txn", {"success": [
            {"request_delete_range": {"key": b"b", "range_end": b"\0"}},
            {"request_put": {"key": b"b", "value": b"again"}}]}),
        ("WatchCollect", {"stream": 0})]),
    ("records that are equal in what they are sorted by", "kv", [
        *MANY, *(("Range", {"key": b"t", "range_end": b"u", "sort_order": order,
                            "sort_target": target}) for order in (1, 2) for target in (1, 4))]),
    ("compaction at revision 0", "kv", [
        *PUTS, ("Compact", {}), *PUTS]),
    ("negative revisions before the first compaction", "kv", [
        *PUTS, ("Range", {"key": b"a", "revision": -1}),
        *(("Txn", {"success": [{"request_range": {"key": b"a", "revision": revision}}]})
          for revision in (-1, -2, 1, 2, 4))]),
    ("compaction, in order of its errors", "kv", [
        *PUTS, ("Compact", {"revision": -1}), ("Compact", {"revision": 2}),
        ("Compact", {"revision": 2}), ("Compact", {"revision": 1}), ("Compact", {"revision": 4}),
        ("Compact", {"revision": 3, "physical": 1}), ("Range", {"key": b"a", "revision": 3}),
        ("Range", {"key": b"a", "revision": 2}),
        ("Txn", {"success": [{"request_range": {"key": b"a", "revision": -1}}]})]),
]
