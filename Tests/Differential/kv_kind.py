"""KV: ranges, puts, deletions, transactions and compactions."""

DEPTH_MAX = 3  # how deep drawn transactions nest


class KV:
    """Every field of every KV request, mostly as a client would set it."""

    name = "kv"
    runs = ("Put", "Range", "DeleteRange", "Txn", "Compact")
    weights = {"Put": 30, "Range": 30, "DeleteRange": 10, "Txn": 28, "Compact": 2}

    def __init__(self, leases=False):
        self.leases = leases  # whether puts name leases that may exist

    def draw(self, space, name):
        return name, getattr(self, "draw_" + name)(space)

    def begin(self, session, name, fields):
        if name != "Compact":
            return session.unary(name, fields)
        for state in session.state.values():
            state.settle()
        return Compacting(session, session.resolve(fields).get("revision", 0),
                          session.unary(name, fields))

    def draw_Put(self, space):
        fields = {"key": space.key(), "value": space.value()}
        if space.maybe(0.3):
            fields["prev_kv"] = 1
        if space.maybe(0.08):
            fields |= {"ignore_value": 1}
            if space.maybe(0.9):
                fields["value"] = b""
        if space.maybe(0.08):
            fields["ignore_lease"] = 1
        if space.maybe(0.3 if self.leases else 0.02):
            fields["lease"] = space.chance.choice(
                [1, 2, 3, ("chosen", 0), ("chosen", 1)] if self.leases and space.maybe(0.9)
                else [77, -1])
        return fields

    def draw_Range(self, space):
        fields = space.range()
        if space.maybe(0.3):
            fields["limit"] = space.chance.choice([1, 2, 3, 5, 1, 2, 3, 5, -1, 1 << 62])
        if space.maybe(0.4):
            fields |= {"sort_order": space.enum(2), "sort_target": space.enum(4)}
        if space.maybe(0.3):
            fields["revision"] = space.past()
        for option, probability in (("keys_only", 0.15), ("count_only", 0.15),
                                    ("serializable", 0.1)):
            if space.maybe(probability):
                fields[option] = 1
        for bound in ("min_mod_revision", "max_mod_revision", "min_create_revision",
                      "max_create_revision"):
            if space.maybe(0.08):
                fields[bound] = space.bound()
        return fields

    def draw_DeleteRange(self, space):
        fields = {"key": space.key()} if space.maybe(0.6) else space.range()
        if space.maybe(0.5):
            fields["prev_kv"] = 1
        return fields

    def draw_Compact(self, space):
        fields = {"revision": space.chance.choice(
            [("now", 0), ("now", -1), ("now", -5), ("now", -20), ("floor", 0), ("floor", 1),
             ("floor", 3), ("floor", -1), ("now", 1), ("now", 50)])}
        if space.maybe(0.4):
            fields["physical"] = 1
        return fields

    # Transactions

    def draw_Txn(self, space):
        return self.txn(space, 1, set())

    def txn(self, space, depth, taken):
        """`taken`: keys put so far; one is put again, which is refused, now and then only."""
        fields = {}
        compares = [self.compare(space) for _ in range(space.chance.choice([0, 1, 1, 2, 3]))]
        if compares:
            fields["compare"] = compares
        writes = space.maybe(0.75)
        for side in ("success", "failure"):
            # Both sides may put the same key: only one of them runs.
            own = set(taken)
            operations = [self.operation(space, depth, own, writes)
                          for _ in range(space.chance.choice([0, 1, 2, 3, 4]))]
            if operations:
                fields[side] = operations
            if depth > 1:
                taken |= own
        return fields

    def operation(self, space, depth, taken, writes):
        kind = space.chance.random()
        if kind < 0.12 and depth < DEPTH_MAX:
            return {"request_txn": self.txn(space, depth + 1, taken)}
        if kind < 0.45 or not writes:
            return {"request_range": self.draw_Range(space)}
        if kind < 0.85:
            put = self.draw_Put(space)
            if put["key"] in taken and space.maybe(0.95):
                return {"request_range": {"key": put["key"]}}
            taken.add(put["key"])
            return {"request_put": put}
        delete = self.draw_DeleteRange(space)
        if space.maybe(0.9):
            delete.pop("range_end", None)
            if delete["key"] in taken:
                return {"request_range": {"key": delete["key"]}}
            taken.add(delete["key"])
        return {"request_delete_range": delete}

    def compare(self, space):
        target = space.enum(4)
        fields = {"result": space.enum(3), "target": target, "key": space.key()}
        if space.maybe(0.25):
            fields |= space.range()
        named = target if space.maybe(0.93) else space.enum(4)
        if space.maybe(0.05):
            return fields  # without an operand
        if named == 3:
            return fields | {"value": space.value()}
        if named == 0:
            return fields | {"version": space.chance.choice([0, 0, 1, 1, 2, 3, -1])}
        if named == 4:
            return fields | {"lease": space.chance.choice([0, 0, 1, 2, 3, ("chosen", 0)])}
        return fields | {("create_revision", "mod_revision")[named == 2]: space.bound()}


class Compacting:
    """A compaction under way; the session remembers the floor when it succeeds."""

    def __init__(self, session, revision, pending):
        self.session, self.revision, self.pending = session, revision, pending

    def result(self):
        observation = self.pending.result()
        if "answer" in observation:
            self.session.floor = max(self.session.floor, self.revision)
        return observation
