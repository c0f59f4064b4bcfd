"""One server during one program: its client, and what the program's symbols mean there."""

import sys
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "Cluster"))
from lib import etcd  # noqa: E402
from space import is_symbol  # noqa: E402

CALL_SECONDS = 20  # the longest that a call may take before it counts as unanswered


class Ready:
    """An observation that is there already."""

    def __init__(self, observation):
        self.observation = observation

    def result(self):
        return self.observation


class Unary:
    """A call under way. What it observes is the answer, or the error's code and text."""

    def __init__(self, session, message, future):
        self.session, self.message, self.future = session, message, future

    def result(self):
        try:
            answer = self.future.result()
        except grpc.RpcError as error:
            return refusal(error)
        if isinstance(answer, bytes):
            answer = etcd.decode(self.message, answer)
        self.session.saw(answer.get("header"))
        return {"message": self.message, "answer": answer}


def refusal(error):
    return {"code": error.code().name, "text": error.details()}


class Session:
    """State of the kinds of operation (streams, leases) hangs in `state`, by kind."""

    def __init__(self, node, revision):
        self.node = node
        self.client = etcd.Client(node.endpoint)
        self.base = self.floor = self.revision = revision
        self.chosen = []  # lease ids that the server chose
        self.state = {}

    def resolve(self, value):
        """The value with its symbols replaced by what they mean on this server now."""
        if is_symbol(value):
            kind, offset = value
            if kind == "times":
                return b"x" * offset
            if kind == "chosen":
                return self.chosen[offset] if offset < len(self.chosen) else 404 + offset
            number = {"now": self.revision, "base": self.base, "floor": self.floor}[kind]
            return number + offset
        if isinstance(value, dict):
            return {name: self.resolve(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.resolve(item) for item in value]
        return value

    def saw(self, header):
        if header:
            self.revision = max(self.revision, header["revision"])

    def unary(self, method, fields):
        return Unary(self, etcd.response_of(method),
                     self.client.begin(method, self.resolve(fields), CALL_SECONDS))

    def raw(self, path, message, body):
        return Unary(self, message, self.client.raw(path, body, CALL_SECONDS))

    def close(self):
        for state in self.state.values():
            state.close()
        self.client.close()
