"""The same random programs against etcd and against this store: every answer has to be the same.

A program is drawn from a seed (space.py, *_kind.py), run on both servers step by step (pair.py), and
what each step observes is compared field by field (comparison.py says what is not). A difference is
a bug or a row of docs/divergence.md (divergences.py). A program that shows one is made shorter
(shrink.py) and printed, with the command that runs it again.
"""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "Cluster"))
from lib import processes  # noqa: E402
from lib.checks import Checks  # noqa: E402

import divergences  # noqa: E402
import program as programs  # noqa: E402
import references  # noqa: E402
from bad_kind import Bad  # noqa: E402
from kv_kind import KV  # noqa: E402
from lease_kind import Lease  # noqa: E402
from pair import Pair  # noqa: E402
from plants import PLANTS  # noqa: E402
from scripts import SCRIPTS  # noqa: E402
from shrink import Shrinker  # noqa: E402
from status_kind import Status  # noqa: E402
from watch_kind import Watch  # noqa: E402

# What is served, and so compared when nothing else is said; --kinds switches others on.
SERVED = "kv,lease,watch,bad,status"
SHARES = {"kv": 100, "bad": 12, "status": 1, "lease": 30, "watch": 25}

SEEDS = [1, 2, 3, 4]  # beside Debian's etcd
NEW_SEEDS = [1]  # beside PyPI's
FRESH = 1  # beside each
OPERATIONS = 1000
SHRINK_SECONDS = 60


def kinds_of(names):
    """The kinds of operation of a list of names, each with its share."""
    made = {"kv": lambda: KV(leases="lease" in names), "bad": Bad, "status": Status,
            "lease": Lease, "watch": Watch}
    unknown = [name for name in names if name not in made]
    if unknown:
        sys.exit(f"unknown kind {unknown[0]}: choose from {', '.join(made)}")
    return [(made[name](), SHARES[name]) for name in names]


class Run:
    """One server beside one reference."""

    def __init__(self, options, folder, reference, version, ours=None, plant=None):
        self.options = options
        self.version = version
        self.kinds = kinds_of(options.kinds.split(","))
        self.pair = Pair(folder, reference, ours or options.server, version,
                         [KV(), *(kind for kind, _ in self.kinds)], plant)

    def differs(self, program):
        self.pair.begin()
        return self.pair.run(program)

    def check(self, program, again, fresh=True):
        """Raises AssertionError with the shortest program that shows a difference."""
        if fresh:
            self.pair.start()
        found = self.differs(program) if not fresh else self.pair.run(program)
        if found is None:
            return
        print(f"{again} differs at operation {found.at}; looking for a shorter program", flush=True)
        shrinker = Shrinker(self.differs, self.options.shrink_seconds)
        short, last = shrinker.shrink(program, found)
        file = Path(tempfile.gettempdir()) / f"differs-{secrets.token_hex(4)}.program"
        file.write_text(programs.written(short) + "\n")
        raise AssertionError(
            f"beside etcd {self.version}: {last}\nshortest of {shrinker.tries} programs "
            f"({file}):\n{programs.written(short)[:6000]}\nagain: {again}\n"
            f"   or: {self.command()} --program {file}")

    def command(self):
        return (f"/usr/bin/python3 Tests/Differential/differential_test.py "
                f"--server {self.options.server} --beside {self.version} "
                f"--kinds {self.options.kinds}")

    def seed(self, seed, operations, fresh=True):
        program = programs.draw(seed, operations, self.kinds)
        self.check(program, f"{self.command()} --seed {seed} --operations {operations}", fresh)


def compare(checks, options, folder, version, reference, seeds):
    """The written-out programs and the drawn ones beside one reference."""
    run = Run(options, folder, reference, version)
    for title, kind, program in SCRIPTS:
        if kind in options.kinds.split(","):
            with checks.check(f"{title}, as etcd {version}"):
                run.check(program, f"{run.command()} ({title})")
    for seed in seeds:
        with checks.check(f"seed {seed}: {options.operations} operations as etcd {version}"):
            run.seed(seed, options.operations)
    run.pair.stop()


def check_itself(checks, options, folder, version, reference):
    """etcd beside itself does not differ, and each planted difference is found."""
    run = Run(options, folder, reference, version, ours=reference)
    with checks.check(f"etcd {version} beside itself does not differ"):
        run.seed(secrets.randbelow(1 << 32), 400)
    for title, (plant, kind) in PLANTS.items():
        if kind not in options.kinds.split(","):
            continue
        with checks.check(f"planted: {title}"):
            run.pair.plant = plant
            for seed in range(20):
                run.pair.begin()
                if run.pair.run(programs.draw(seed, 300, run.kinds)) is not None:
                    break
            else:
                raise AssertionError("not found by 20 seeds")
    run.pair.stop()


def check_divergences(checks, versions, kinds):
    """Each known difference has its row and was met beside each reference that has it."""
    rows = divergences.rows()
    for known in divergences.KNOWN:
        for version in known.versions:
            if version not in versions or known.kind and known.kind not in kinds:
                continue
            met = known.met.get(version)
            name = f"known beside etcd {version}: {known.title} ({met or 'not'} met)"
            if known.title not in rows:
                checks.fail(name, "docs/divergence.md has no such row")
            else:
                checks.expect(name, met, "the difference is gone, or no program reaches it")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, help="the directory of spined")
    parser.add_argument("--server", type=Path, help="the server to try, if not --bin's spined")
    parser.add_argument("--kinds", default=SERVED, help=f"kinds of operation (default: {SERVED})")
    parser.add_argument("--beside", default="", help="only beside etcd 3.4 or 3.5")
    parser.add_argument("--seed", type=int, help="one program only")
    parser.add_argument("--operations", type=int, default=OPERATIONS, help="in each program")
    parser.add_argument("--program", type=Path, help="one program only, as it was written")
    parser.add_argument("--fresh", type=int, default=FRESH, help="seeds that are new each time")
    parser.add_argument("--shrink-seconds", type=int, default=SHRINK_SECONDS)
    options = parser.parse_args()
    options.server = options.server or options.bin / "spined"
    processes.exit_on_signals()
    checks = Checks("differential test")
    found, missing = references.find(options.beside)
    for version, why in missing.items():
        checks.skip(f"beside etcd {version}", why)
    single = options.seed is not None or options.program
    with tempfile.TemporaryDirectory() as folder:
        for version, reference in found.items():
            if single:
                run = Run(options, folder, reference, version)
                with checks.check(f"as etcd {version}"):
                    if options.program:
                        run.check(programs.read(options.program.read_text()), run.command())
                    else:
                        run.seed(options.seed, options.operations)
                run.pair.stop()
                continue
            fresh = [secrets.randbelow(1 << 32) for _ in range(options.fresh)]
            seeds = (SEEDS if version == divergences.OLD else NEW_SEEDS) + fresh
            compare(checks, options, folder, version, reference, seeds)
        if not single:
            for version, reference in list(found.items())[:1]:
                check_itself(checks, options, folder, version, reference)
            if not options.beside and options.kinds == SERVED and not missing:
                check_divergences(checks, list(found), options.kinds.split(","))
    checks.finish()


if __name__ == "__main__":
    main()
