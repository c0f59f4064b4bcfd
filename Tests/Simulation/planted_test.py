"""What ships has no planted bug: neither a symbol nor a string of them is in the programs.

--bin holds the programs that ship, --planted is `simulate` built with the package trait: what is not
in the first must be in the second, or the search would prove nothing.
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Cluster"))
from lib.checks import Checks  # noqa: E402

LIST = ROOT / "Sources/Primitives/PlantedBug.swift"
SHIPPED = ("spined", "spinectl")
# The compiler keeps strings up to 15 bytes in instructions, where no search finds them.
INLINE_BYTES = 15


def read_list():
    """Names of the bugs, and what each breaks."""
    text = LIST.read_text()
    names = re.findall(r"^        case (\w+)$", text, re.M)
    breaks = dict(re.findall(r"case \.(\w+):\s+\"([^\"]+)\"", text))
    return names, breaks


def traces(names, breaks):
    """What a program with the bugs in it holds: the type, in each of its symbols, and the words."""
    # As it is mangled: the name of its file, which is empty then, stands in every debug build.
    words = [f"{len('PlantedBug')}PlantedBugO"] + list(breaks.values())
    return words + [name for name in names if len(name.encode()) > INLINE_BYTES]


def found(program, words):
    data = program.read_bytes()
    return [word for word in words if word.encode() in data]


def places():
    """Where each bug is planted: name -> list of file:line, and those outside of `#if PlantedBugs`."""
    planted, bare = {}, []
    for file in sorted((ROOT / "Sources").rglob("*.swift")):
        if file == LIST:
            continue
        depth = []
        for number, line in enumerate(file.read_text().splitlines(), 1):
            directive = line.strip()
            if directive.startswith("#if"):
                depth.append(directive == "#if PlantedBugs")
            elif directive.startswith(("#else", "#elseif")):
                depth[-1] = False
            elif directive.startswith("#endif"):
                depth.pop()
            elif "PlantedBug" in line and not directive.startswith("//"):
                where = f"{file.relative_to(ROOT)}:{number}"
                if not any(depth):
                    bare.append(where)
                for name in re.findall(r"PlantedBug\.active [!=]= \.(\w+)", line):
                    planted.setdefault(name, []).append(where)
    return planted, bare


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True, help="folder of the programs that ship")
    parser.add_argument("--simulate", type=Path, help="`simulate` built without the trait")
    parser.add_argument("--planted", type=Path, help="`simulate` built with the trait")
    options = parser.parse_args()
    checks = Checks("planted bugs")
    names, breaks = read_list()
    words = traces(names, breaks)
    checks.expect(f"{len(names)} bugs, each says what it breaks",
                  len(names) >= 20 and sorted(names) == sorted(breaks),
                  sorted(set(names) ^ set(breaks)))
    planted, bare = places()
    wrong = {name: planted.get(name, []) for name in names if len(planted.get(name, [])) != 1}
    checks.expect("each is planted at one place", not wrong and sorted(planted) == sorted(names),
                  wrong or sorted(set(planted) - set(names)))
    checks.expect("none stands outside of #if PlantedBugs", not bare, "\n".join(bare))
    programs = [options.bin / name for name in SHIPPED]
    if options.simulate:
        programs.append(options.simulate)
    for program in programs:
        left = found(program, words)
        checks.expect(f"{program.name} holds none of {len(words)} traces of them", not left,
                      "\n".join(left))
    if options.planted:
        lacking = sorted(set(words) - set(found(options.planted, words)))
        checks.expect("the build with the trait holds them all", not lacking, "\n".join(lacking))
    else:
        checks.skip("the build with the trait holds them all", "no --planted")
    checks.finish()


if __name__ == "__main__":
    main()
