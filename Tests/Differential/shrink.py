"""Makes a program that shows a difference shorter, as long as it shows one."""

import time

from space import is_symbol


# Fields that an operation cannot be run without.
NEEDED = ("stream", "watch_id", "path", "message", "body")


class Shrinker:
    """differs: runs a program; a Difference or None."""

    def __init__(self, differs, seconds):
        self.differs = differs
        self.deadline = time.monotonic() + seconds
        self.tries = 0

    def shrink(self, program, found):
        """The shortest program found in time, and the difference that it shows."""
        self.program, self.found = program[:found.at + 1], found
        changed = True
        while changed and not self.late():
            self.without_operations()
            changed = self.within_operations()
        return self.program, self.found

    def late(self):
        return time.monotonic() > self.deadline

    def accept(self, program):
        """Keeps the program when it still differs, and in the same way."""
        self.tries += 1
        found = self.differs(program)
        if found is None or found.sign() != self.found.sign():
            return False
        self.program, self.found = program[:found.at + 1], found
        return True

    def without_operations(self):
        size = max(1, len(self.program) // 2)
        while size >= 1 and not self.late():
            taken = self.without_runs(size)
            if size > 1 or not taken:
                size //= 2

    def without_runs(self, size):
        """Tries to take out each run of `size` operations, from the last on."""
        taken, at = False, len(self.program)
        while at > 0 and not self.late():
            at = max(0, min(at, len(self.program)) - size)
            taken |= self.accept(self.program[:at] + self.program[at + size:])
        return taken

    def within_operations(self):
        """Tries each simplification of one operation."""
        changed = False
        for at in range(len(self.program)):
            progress = True
            while progress and not self.late() and at < len(self.program):
                name, fields = self.program[at]
                progress = any(
                    self.accept(self.program[:at] + [(name, simpler)] + self.program[at + 1:])
                    for simpler in simplifications(fields, self.late))
                changed |= progress
        return changed


def simplifications(value, late, top=True):
    """Values with one part less, or one part simpler."""
    if late():
        return
    if isinstance(value, dict):
        for name in value:
            if not (top and name in NEEDED):
                yield {other: item for other, item in value.items() if other != name}
        for name in value:
            for simpler in simplifications(value[name], late, False):
                yield {**value, name: simpler}
    elif isinstance(value, list):
        for at in range(len(value)):
            yield value[:at] + value[at + 1:]
        for at, item in enumerate(value):
            for simpler in simplifications(item, late, False):
                yield value[:at] + [simpler] + value[at + 1:]
    elif isinstance(value, bytes) and len(value) > 1:
        yield value[:1]
        yield value[:len(value) // 2]
    elif is_symbol(value) and value[1] not in (0, 1):
        yield (value[0], 0)
