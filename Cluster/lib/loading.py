"""Loading FHIR resources and knowing what has to be read back."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

from . import fhir

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
# Where a transaction replaces references to its own entries (FHIR R4, http.html, 3.1.0.11.2):
# references and elements of type uri, url, oid and uuid; never canonical ones.
URI_ELEMENTS = {"reference", "valueUri", "valueUrl", "valueOid", "valueUuid"}
NARRATIVE_LINK = re.compile(r"""(<a\b[^>]*?\bhref=|<img\b[^>]*?\bsrc=)(["'])(.*?)\2""")
DEPTH = 4  # connections for each node


class Wrong(Exception):
    """The store broke its word; the text says how."""


class Connections:
    """A connection per thread and node; threads take the nodes in turn."""

    def __init__(self, nodes):
        self.bases = [node.fhir for node in nodes]
        self.local = threading.local()

    def server(self, turn):
        pool = self.local.__dict__.setdefault("pool", {})
        base = self.bases[turn % len(self.bases)]
        if base not in pool:
            pool[base] = fhir.Server(base, timeout=120)
        return pool[base]


def each(items, work, threads, say=None, every=1000):
    """Runs work(turn, item) for all items on some threads; the first exception ends it."""
    items = list(items)
    results = []
    with ThreadPoolExecutor(threads) as pool:
        try:
            for result in pool.map(work, range(len(items)), items):
                results.append(result)
                if say and len(results) % every == 0:
                    say(f"  {len(results)} of {len(items)}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results


def put_definitions(nodes, definitions, say):
    """PUTs each resource under its own id.

    Returns {"Type/id": bytes} of what was taken and the names of what was refused for its id.
    """
    connections = Connections(nodes)

    def put(turn, item):
        name, body = item
        resource = fhir.parse(body)
        place = f"{resource['resourceType']}/{resource['id']}"
        answer = connections.server(turn).put(place, body)
        if ID.fullmatch(resource["id"]):
            if answer.status not in (200, 201):
                raise Wrong(f"PUT {place} ({name}): {describe(answer)}")
            return place, body
        outcome = fhir.parse(answer.body)
        if answer.status != 400 or outcome.get("resourceType") != "OperationOutcome":
            raise Wrong(f"PUT {place} has an id that FHIR does not allow: {describe(answer)}")
        return None, name

    done = each(definitions, put, DEPTH * len(nodes), say)
    return ({place: body for place, body in done if place},
            [name for place, name in done if not place])


def post_bundle(server, name, body):
    """POSTs a transaction; returns {"Type/id": (entry as sent, links)} by its answer."""
    answer = server.post("", body)
    if answer.status != 200:
        raise Wrong(f"{name}: {describe(answer)}")
    sent, response = fhir.parse(body)["entry"], fhir.parse(answer.body)
    if response.get("type") != "transaction-response" or len(response["entry"]) != len(sent):
        raise Wrong(f"{name}: the answer is not a transaction-response of {len(sent)} entries")
    places, links = [], {}
    for entry, result in zip(sent, response["entry"]):
        status, location = result["response"]["status"], result["response"].get("location", "")
        kind = entry["resource"]["resourceType"]
        match = re.search(rf"(?:^|/)({kind}/({ID.pattern}))(?:/_history/\d+)?$", location)
        if not status.startswith("201") or not match:
            raise Wrong(f"{name}: {entry['fullUrl']} got status {status}, location {location!r}")
        places.append(match[1])
        links[entry["fullUrl"]] = match[1]
    if len(set(places)) != len(places):
        raise Wrong(f"{name}: one place was assigned twice")
    return {place: (entry["resource"], links) for place, entry in zip(places, sent)}


def describe(answer):
    return f"status {answer.status}, {answer.body[:400].decode(errors='replace')}"


def resolved(value, links, element=""):
    """A parsed resource with the references to entries of its own transaction replaced."""
    if isinstance(value, dict):
        return {key: resolved(inner, links, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner, links, element) for inner in value]
    if type(value) is str:
        if element in URI_ELEMENTS:
            return links.get(value, value)
        if element == "div":
            return NARRATIVE_LINK.sub(
                lambda m: m[1] + m[2] + links.get(m[3], m[3]) + m[2], value)
    return value


def expectation(place, source):
    """What has to be read back at `place`: from the bytes of a definition, or from an entry."""
    if isinstance(source, bytes):
        resource = fhir.parse(source)
    else:
        resource = resolved(source[0], source[1])
    resource["id"] = place.split("/")[1]
    return fhir.without_server_meta(resource)


def read_back(nodes, expected, say):
    """Reads every resource through some node and compares it to the last digit."""
    connections = Connections(nodes)

    def read(turn, item):
        place, source = item
        # Mostly another node than the one that took it.
        answer = connections.server(turn + 1).get(place)
        if answer.status != 200:
            raise Wrong(f"GET {place}: {describe(answer)}")
        if not answer.headers.get("content-type", "").startswith(fhir.MEDIA_TYPE):
            raise Wrong(f"GET {place}: content type {answer.headers.get('content-type')!r}")
        try:
            found = fhir.parse(answer.body)
        except ValueError as error:
            raise Wrong(f"GET {place}: {error}") from error
        meta = found.get("meta", {})
        if answer.headers.get("etag") != f'W/"{meta.get("versionId")}"' \
                or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
                                    meta.get("lastUpdated", "")):
            raise Wrong(f"GET {place}: meta {meta}, ETag {answer.headers.get('etag')}")
        wrong = fhir.difference(expectation(place, source), fhir.without_server_meta(found))
        if wrong:
            raise Wrong(f"{place} reads back changed: {wrong}")

    return len(each(expected.items(), read, DEPTH * len(nodes), say, every=2000))
