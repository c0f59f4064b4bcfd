"""What programs are drawn from: few keys, so that operations meet each other, and places in history
that a server resolves as it runs, so that a program still means something after parts of it are
taken away.

A program is a list of (name, fields). A field may be a symbol:

    ("now", n)    the newest revision that the server has told of, plus n
    ("base", n)   the revision at which the program began, plus n
    ("floor", n)  the revision of the last compaction that succeeded, plus n
    ("chosen", n) the n-th lease id that the server chose itself
    ("times", n)  n bytes
"""

KEYS = [b"a", b"a/", b"a/1", b"a/10", b"a/2", b"a\0", b"a\xff", b"ab", b"b", b"b/1", b"b/2",
        b"\0", b"\0\0", b"\xff", b"\xff\xff", "ü".encode()]
VALUES = [b"", b"1", b"2", b"10", b"\0", b"\xff", b"long " * 400]
INT64_MAX, INT64_MIN = (1 << 63) - 1, -(1 << 63)


def is_symbol(value):
    return (isinstance(value, tuple) and len(value) == 2
            and value[0] in ("now", "base", "floor", "chosen", "times"))


def prefix_end(key):
    for i in range(len(key) - 1, -1, -1):
        if key[i] < 0xFF:
            return key[:i] + bytes([key[i] + 1])
    return b"\0"


class Space:
    """Draws the parts of operations. `chance` is a seeded random.Random."""

    def __init__(self, chance):
        self.chance = chance

    def maybe(self, probability):
        return self.chance.random() < probability

    def key(self):
        return self.chance.choice(KEYS)

    def value(self):
        return self.chance.choice(VALUES[:-1] if self.maybe(0.97) else VALUES)

    def range(self):
        """A key alone, a prefix, everything from a key on, or any two keys, also the wrong way."""
        key = self.key()
        kind = self.chance.random()
        if kind < 0.3:
            return {"key": key}
        if kind < 0.6:
            return {"key": key, "range_end": prefix_end(key)}
        if kind < 0.75:
            return {"key": key, "range_end": b"\0"}
        if kind < 0.8:
            return {"key": b"\0", "range_end": b"\0"}
        if kind < 0.85:
            return {"key": key, "range_end": key + b"\0"}
        return {"key": key, "range_end": self.key()}

    def past(self):
        """A revision to read at: mostly one that can be read."""
        kind = self.chance.random()
        if kind < 0.55:
            return ("now", -self.chance.randrange(0, 12))
        if kind < 0.7:
            return ("floor", self.chance.choice([-1, 0, 0, 1, 2]))
        if kind < 0.85:
            return ("base", self.chance.randrange(0, 8))
        return self.chance.choice(
            [("now", 1), ("now", 1000), -1, 0, INT64_MAX, INT64_MIN, ("base", -1), 1])

    def bound(self):
        """A revision to filter by or to compare with."""
        if self.maybe(0.1):
            return self.chance.choice([0, 1, -1, INT64_MAX, INT64_MIN])
        return ("now", -self.chance.randrange(-1, 15))

    def enum(self, last):
        return self.chance.randrange(last + 1)
