"""Leases: grants with ids given or chosen, revocations, keep-alives, questions. None of them expires
while a program runs: when a lease expires is timing."""

from session import Ready
from space import INT64_MAX, INT64_MIN
from stream import Stream

TTL_MAX = 9_000_000_000  # etcd's, in seconds
ANSWER_SECONDS = 20


class Lease:
    name = "lease"
    runs = ("LeaseGrant", "LeaseGrantShort", "LeaseRevoke", "LeaseTimeToLive", "LeaseLeases",
            "LeaseKeepAlive")
    weights = {"LeaseGrant": 6, "LeaseGrantShort": 1, "LeaseRevoke": 3, "LeaseTimeToLive": 4,
               "LeaseLeases": 2, "LeaseKeepAlive": 3}

    def draw(self, space, name):
        if name == "LeaseGrant":
            fields = {"TTL": space.chance.choice([1000, 1000, 5000, TTL_MAX, TTL_MAX + 1, INT64_MAX])}
            return name, fields | {"ID": space.chance.choice([1, 2, 3, 1, 2, 3, 0, -5])}
        if name == "LeaseGrantShort":
            return name, {"TTL": space.chance.choice([0, 1, 2, -1, INT64_MIN]), "ID": 50}
        if name == "LeaseLeases":
            return name, {}
        fields = {"ID": space.chance.choice(
            [1, 2, 3, 1, 2, 3, ("chosen", 0), ("chosen", 1), 99, 0, -5])}
        if name == "LeaseTimeToLive" and space.maybe(0.6):
            fields["keys"] = 1
        return name, fields

    def begin(self, session, name, fields):
        if name == "LeaseGrant":
            return Granting(session, fields, session.unary(name, fields))
        if name == "LeaseGrantShort":
            return Ready(grant_and_revoke(session, fields))
        if name == "LeaseKeepAlive":
            return Ready(keep_alive(session, session.resolve(fields)))
        return session.unary(name, fields)

    def close(self, session):
        """Ends what the program left open, and its leases."""
        if self.name in session.state:
            session.state.pop(self.name).close()
        answer = session.unary("LeaseLeases", {}).result()
        for lease in answer.get("answer", {}).get("leases", ()):
            session.unary("LeaseRevoke", {"ID": lease["ID"]}).result()


class Granting:
    """A grant under way; the session notes an id that the server chose."""

    def __init__(self, session, fields, pending):
        self.session, self.fields, self.pending = session, fields, pending

    def result(self):
        observation = self.pending.result()
        if "answer" in observation and self.fields.get("ID", 0) == 0:
            self.session.chosen.append(observation["answer"]["ID"])
        return observation


def grant_and_revoke(session, fields):
    """A lease too short to be left: what was granted, and its end."""
    granted = session.unary("LeaseGrant", fields).result()
    return {"granted": granted,
            "revoked": session.unary("LeaseRevoke", {"ID": fields["ID"]}).result()}


class KeepAlives:
    """The keep-alive stream of a session; opened again after an error."""

    def __init__(self, client):
        self.answers = []
        self.stream = Stream(client, "LeaseKeepAlive", self.answers.append)

    def settle(self):
        """Each request was answered before the next."""

    def close(self):
        self.stream.close()


def keep_alive(session, fields):
    state = session.state.get(Lease.name)
    if state is None:
        state = session.state[Lease.name] = KeepAlives(session.client)
    state.stream.send(fields)
    if not state.stream.wait(lambda: state.answers, ANSWER_SECONDS):
        session.state.pop(Lease.name).close()
        return state.stream.ended or {"unanswered": fields}
    answer = state.answers.pop(0)
    session.saw(answer["header"])
    return {"message": "LeaseKeepAliveResponse", "answer": answer}
