"""A FHIR client on http.client, and JSON compared by lexeme."""

import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

MEDIA_TYPE = "application/fhir+json"


@dataclass
class Answer:
    status: int
    headers: dict  # names in lower case
    body: bytes


class Server:
    """One keep-alive connection to one FHIR endpoint. Not shared between threads.

    A request is never repeated here: whether a broken connection had carried it out is for the
    caller to find out. Errors are OSError.
    """

    def __init__(self, base, timeout=60):
        parts = urlsplit(base)
        self.host, self.port, self.path, self.timeout = (
            parts.hostname, parts.port, parts.path.rstrip("/"), timeout)
        self.connection = None

    def request(self, method, path, body=None, headers=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        sent = {"Accept": MEDIA_TYPE, **(headers or {})}
        if body is not None:
            sent.setdefault("Content-Type", MEDIA_TYPE)
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, self.port,
                                                         timeout=self.timeout)
        try:
            self.connection.request(
                method, f"{self.path}/{path}" if path else self.path, body, sent)
            response = self.connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()},
                            response.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise OSError(f"{method} {path}: {error!r}") from error
        if response.will_close:
            self.close()
        return answer

    def get(self, path, **headers):
        return self.request("GET", path, headers=headers)

    def post(self, path, body, **headers):
        return self.request("POST", path, body, headers)

    def put(self, path, body, **headers):
        return self.request("PUT", path, body, headers)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Number(str):
    """A JSON number as it was written: 1.0 and 1.00 differ, and so do 1 and "1"."""

    def __eq__(self, other):
        return isinstance(other, Number) and str.__eq__(self, other)

    def __ne__(self, other):
        return not self == other

    __hash__ = str.__hash__


def _object(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError(f"a name is repeated among {[name for name, _ in pairs]}")
    return result


def _not_json(word):
    raise ValueError(f"{word} is not JSON")


def parse(text):
    """Parses JSON with number lexemes kept; ValueError for repeated names, NaN or bad UTF-8."""
    return json.loads(text.decode("utf-8"), object_pairs_hook=_object, parse_float=Number,
                      parse_int=Number, parse_constant=_not_json)


def difference(expected, found, path=""):
    """The first difference of two parsed values in words, or None."""
    if type(expected) is not type(found):
        return f"{path}: {brief(expected)} became {brief(found)}"
    if isinstance(expected, dict):
        if list(expected) != list(found):
            missing = [k for k in expected if k not in found]
            added = [k for k in found if k not in expected]
            if missing or added:
                return f"{path}: lost {missing}, gained {added}"
        for key in expected:
            inner = difference(expected[key], found[key], f"{path}.{key}")
            if inner:
                return inner
        return None
    if isinstance(expected, list):
        if len(expected) != len(found):
            return f"{path}: {len(expected)} items became {len(found)}"
        for i, pair in enumerate(zip(expected, found)):
            inner = difference(*pair, f"{path}[{i}]")
            if inner:
                return inner
        return None
    return None if expected == found else f"{path}: {brief(expected)} became {brief(found)}"


def brief(value):
    text = repr(value) if not isinstance(value, Number) else str(value)
    return text if len(text) < 120 else text[:117] + "..."


def without_server_meta(resource):
    """A copy without what the server assigns: meta.versionId and meta.lastUpdated.

    A meta that holds nothing else is taken away with them.
    """
    copy = dict(resource)
    if "meta" in copy:
        copy["meta"] = {k: v for k, v in copy["meta"].items()
                        if k not in ("versionId", "lastUpdated")}
        if not copy["meta"]:
            del copy["meta"]
    return copy
