"""Programs written out: what chance seldom meets, and what once differed."""

from divergences import NEW, OLD

# (title, kind that has to be on, versions of etcd, program)
SCRIPTS = [
    ("a sort target that does not exist", "bad", (NEW,), [
        ("Range", {"key": b"a", "sort_order": 1, "sort_target": 5}),
        ("Range", {"key": b"a", "sort_target": -1}),
        ("Txn", {"success": [{"request_range": {"key": b"a", "sort_target": 99}}]})]),
]

