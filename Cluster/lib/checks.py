"""Checks of a script, one line each, and their tally."""

import os
import sys
import time
import traceback
from contextlib import contextmanager


class Checks:
    """Counts what passed, failed and was skipped.

    With SPINE_TALLY set, `finish` appends "passed failed skipped" to that file, which
    `Cluster/run test` adds up.
    """

    def __init__(self, title):
        self.title = title
        self.passed = self.failed = self.skipped = 0
        self.began = time.monotonic()

    def ok(self, name):
        self.passed += 1
        print(f"ok      {name}", flush=True)

    def fail(self, name, why):
        self.failed += 1
        print(f"FAILED  {name}\n        " + str(why).replace("\n", "\n        "), flush=True)

    def skip(self, name, why, count=1):
        self.skipped += count
        print(f"skipped {name}: {why}", flush=True)

    def expect(self, name, condition, why="not so"):
        if condition:
            self.ok(name)
        else:
            self.fail(name, why)
        return bool(condition)

    @contextmanager
    def check(self, name):
        """A check that fails when its block raises."""
        try:
            yield
        except AssertionError as error:
            self.fail(name, str(error) or traceback.format_exc())
        except Exception:
            self.fail(name, traceback.format_exc())
        else:
            self.ok(name)

    def finish(self):
        """Prints the tally and ends the script; 1 when anything failed."""
        if self.passed + self.failed + self.skipped == 0:
            self.fail(self.title, "no check ran")
        print(f"{self.title}: {self.passed} passed, {self.failed} failed, {self.skipped} skipped "
              f"in {time.monotonic() - self.began:.0f} s", flush=True)
        if os.environ.get("SPINE_TALLY"):
            with open(os.environ["SPINE_TALLY"], "a") as file:
                file.write(f"{self.passed} {self.failed} {self.skipped}\n")
        sys.exit(1 if self.failed else 0)
