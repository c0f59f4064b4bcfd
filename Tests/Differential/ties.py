"""Sorting by something that several keys have in common leaves their order open: etcd's sort is
unstable above twelve keys. What is determined then is the sequence of what was sorted by, and,
when no limit cut among equals, which keys there are."""

from comparison import difference

FIELDS = {1: "version", 2: "create_revision", 3: "mod_revision", 4: "value"}
SIDES = ("failure", "success")


def only_ties_differ(name, fields, expected, found):
    if name not in ("Range", "Txn") or "answer" not in expected or "answer" not in found:
        return False
    kind = "range" if name == "Range" else "txn"
    return difference(*(untied(kind, fields, side["answer"]) for side in (expected, found))) is None


def untied(kind, request, answer):
    """An answer with what ties leave open taken out."""
    if kind == "txn":
        ran = request.get(SIDES[bool(answer["succeeded"])], [])
        return {**answer, "count": len(answer["responses"]), "responses": [
            untied_inner(operation, response)
            for operation, response in zip(ran, answer["responses"])]}
    field = FIELDS.get(request.get("sort_target", 0))
    if field is None:
        return answer
    kvs = answer["kvs"]
    # With keys_only the values that were sorted by are not shown.
    order = [] if field == "value" and request.get("keys_only") else [kv[field] for kv in kvs]
    cut = 0 < request.get("limit", 0) <= len(kvs)
    return {**answer, "kvs": len(kvs), "order": order,
            "which": "some" if cut else sorted(repr(sorted(kv.items())) for kv in kvs)}


def untied_inner(operation, response):
    out = dict(response)
    for part in ("range", "txn"):
        if response[f"response_{part}"] and f"request_{part}" in operation:
            out[f"response_{part}"] = untied(
                part, operation[f"request_{part}"], response[f"response_{part}"])
    return out
