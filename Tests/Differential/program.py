"""Programs: drawn from a seed, written as text, read back."""

import ast
import random

from space import Space


def draw(seed, count, kinds):
    """A program of `count` operations; kinds are met in proportion to their `share`."""
    chance = random.Random(seed)
    space = Space(chance)
    shares = [share for _, share in kinds]
    program = []
    for _ in range(count):
        (kind, _), = chance.choices(kinds, shares)
        name, = chance.choices(list(kind.weights), list(kind.weights.values()))
        program.append(kind.draw(space, name))
    return program


def written(program):
    return "[\n" + "".join(f"    {operation!r},\n" for operation in program) + "]"


def read(text):
    return ast.literal_eval(text)
