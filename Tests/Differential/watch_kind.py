"""Watches: several on a stream, several streams. How events are framed into responses is not
compared; which events each watcher gets, and in which order, is.

Watchers are followed lazily, as events come while other operations run. `settle` brings them up to
date: it puts and deletes a marker in the range of each watcher and waits until the marker arrives,
so that everything before it has. Before a compaction that is a must: a watcher that has not caught
up yet is cancelled by one, and whether it had is timing.
"""

from session import Ready
from stream import Stream

EVENT_SECONDS = 20  # how long an event or an answer may take before it counts as lost
STREAMS = 2
WATCHERS_MAX = 10  # on all streams of a session
PUT, DELETE = 0, 1
NOPUT, NODELETE = 0, 1


def observed(message, answer):
    return {"message": message, "answer": answer} if answer else None


class Watch:
    name = "watch"
    runs = ("WatchCreate", "WatchCancel", "WatchCollect", "WatchProgress")
    weights = {"WatchCreate": 4, "WatchCancel": 2, "WatchCollect": 2, "WatchProgress": 1}

    def draw(self, space, name):
        fields = {"stream": space.chance.randrange(STREAMS)}
        if name == "WatchCreate":
            fields |= space.range()
            if space.maybe(0.04):
                fields["key"] = b""
            kind = space.chance.random()
            if kind < 0.5:
                fields["start_revision"] = space.chance.choice(
                    [("now", -5), ("now", -20), ("now", 0), ("now", 1), ("floor", 0), ("floor", 1)])
            elif kind < 0.65:
                fields["start_revision"] = space.chance.choice(
                    [("floor", -1), ("now", 4), ("now", 1 << 40), 1])
            if space.maybe(0.4):
                fields["prev_kv"] = 1
            if space.maybe(0.25):
                fields["filters"] = [space.chance.choice([NOPUT, NODELETE])]
            if space.maybe(0.3):
                fields["watch_id"] = space.chance.choice([1, 2, 3, 7])
            for option in ("fragment", "progress_notify"):
                if space.maybe(0.1):
                    fields[option] = 1
        elif name == "WatchCancel":
            fields["watch_id"] = space.chance.choice([0, 1, 2, 3, 7, 99])
        return name, fields

    def begin(self, session, name, fields):
        state = session.state.setdefault(self.name, Watchers(session))
        fields = session.resolve(fields)
        return Ready(getattr(state, name)(fields.pop("stream"), fields))

    def close(self, session):
        if self.name in session.state:
            session.state.pop(self.name).close()


class Watcher:
    """One watcher as the client knows it."""

    def __init__(self, fields, created, floor):
        self.key = fields.get("key") or b"\0"  # as etcd takes an empty key
        self.end = fields.get("range_end", b"")
        self.filters = fields.get("filters", [])
        self.start = fields.get("start_revision", 0) or created["header"]["revision"] + 1
        self.seen = 0  # mod_revision of the last event
        # The floor, when it begins there: what of it is still told differs (divergences.py).
        self.floor = floor if self.start == floor else None

    def observed(self, event):
        observation = observed("Event", event)
        if event["kv"]["mod_revision"] == self.floor:
            observation["at the floor"] = True
        return observation

    def marker(self):
        """A key in its range, if possible one that no operation uses."""
        marker = self.key + b"\0~"
        if not self.end:
            return self.key
        return marker if self.end == b"\0" or marker < self.end else self.key

    def sees(self, key):
        return key == self.key or self.end != b"" and self.key <= key and (
            self.end == b"\0" or key < self.end)

    def awaits(self, markers):
        """The revision of the last of all markers' events that it has to see; 0 for none."""
        wanted = [revision for key, revisions in markers.items() if self.sees(key)
                  for revision, filter_ in zip(revisions, (NOPUT, NODELETE))
                  if filter_ not in self.filters and revision >= self.start]
        return max(wanted, default=0)


class WatchStream:
    def __init__(self, client):
        self.created, self.progress = [], []
        self.canceled = {}  # watch id -> response
        self.events = {}  # watch id -> those not collected yet
        self.watchers = {}  # watch id -> Watcher
        self.stream = Stream(client, "Watch", self.take)

    def take(self, response):
        watch_id = response["watch_id"]
        if response["created"]:
            self.created.append(response)
        elif response["canceled"]:
            self.canceled[watch_id] = response
        elif not response["events"]:
            self.progress.append(response)
        if response["events"]:
            self.events.setdefault(watch_id, []).extend(response["events"])
            if watch_id in self.watchers:
                self.watchers[watch_id].seen = response["events"][-1]["kv"]["mod_revision"]

    def answer(self, request, answered):
        """Sends and waits; None, or what came instead of an answer."""
        self.stream.send(request)
        if self.stream.wait(answered, EVENT_SECONDS):
            return None
        return self.stream.ended or {"unanswered": request}


class Watchers:
    """The streams of a session."""

    def __init__(self, session):
        self.session = session
        self.streams = {}

    def stream(self, number):
        if number in self.streams and self.streams[number].stream.ended is not None:
            self.streams.pop(number).stream.close()
        if number not in self.streams:
            self.streams[number] = WatchStream(self.session.client)
        return self.streams[number]

    def WatchCreate(self, number, fields):
        if sum(len(one.watchers) for one in self.streams.values()) >= WATCHERS_MAX:
            return {"not made": "there are enough"}
        stream = self.stream(number)
        # The end of an earlier one of this id, for which nobody has waited, is not the new one's.
        with stream.stream.changed:
            before = stream.canceled.pop(fields.get("watch_id") or None, None)
        wrong = stream.answer({"create_request": fields}, lambda: stream.created)
        if wrong:
            return wrong
        created = stream.created.pop(0)
        observation = observed("WatchResponse", created)
        if before:
            observation["end of the one before"] = observed("WatchResponse", before)
        if created["canceled"]:
            return observation
        watcher = Watcher(fields, created, self.session.floor)
        watch_id = created["watch_id"]
        with stream.stream.changed:
            stream.watchers[watch_id] = watcher
            if stream.events.get(watch_id):
                watcher.seen = stream.events[watch_id][-1]["kv"]["mod_revision"]
        # Where nothing has been compacted, etcd's floor is -1.
        if watcher.start < (self.session.floor if self.session.floor > 1 else -1):
            # Compacted: the cancellation follows by itself.
            stream.stream.wait(lambda: watch_id in stream.canceled, EVENT_SECONDS)
            observation["then"] = observed("WatchResponse", stream.canceled.pop(watch_id, None))
            self.forget(stream, watch_id)
        return observation

    def WatchCancel(self, number, fields):
        stream = self.stream(number)
        watch_id = fields["watch_id"]
        if watch_id not in stream.watchers:
            # Nothing answers it; what comes next on the stream shows that.
            stream.stream.send({"cancel_request": fields})
            return self.progress(stream)
        # Events under way at a cancellation may or may not come: none is.
        observation = {"before": self.settle({(number, watch_id)})}
        wrong = stream.answer({"cancel_request": fields}, lambda: watch_id in stream.canceled)
        observation["after"] = wrong or observed("WatchResponse", stream.canceled.pop(watch_id))
        observation["events"] = [
            stream.watchers[watch_id].observed(event) for event in stream.events.pop(watch_id, [])]
        self.forget(stream, watch_id)
        return observation

    def WatchProgress(self, number, fields):
        """A progress report speaks for all watchers of the stream: all are up to date before."""
        late = self.settle()
        return self.progress(self.stream(number)) | {"late": late}

    def WatchCollect(self, number, fields):
        observation = {"late": self.settle()}
        for place, stream in sorted(self.streams.items()):
            with stream.stream.changed:
                for watch_id, events in sorted(stream.events.items()):
                    observation[f"watch {watch_id} of stream {place}"] = [
                        stream.watchers[watch_id].observed(event) for event in events]
                for watch_id, response in sorted(stream.canceled.items()):
                    observation[f"end of watch {watch_id} of stream {place}"] = observed(
                        "WatchResponse", response)
                    stream.watchers.pop(watch_id, None)
                stream.canceled = {}
                observation[f"end of stream {place}"] = stream.stream.ended
                stream.events = {}
        return observation

    def progress(self, stream):
        before = len(stream.progress)
        wrong = stream.answer({"progress_request": {}}, lambda: len(stream.progress) > before)
        return wrong or observed("WatchResponse", stream.progress[-1])

    def forget(self, stream, watch_id):
        with stream.stream.changed:
            stream.watchers.pop(watch_id, None)

    def settle(self, only=None):
        """Brings watchers up to date; the names of those that did not come that far."""
        live = [(place, watch_id, stream, watcher)
                for place, stream in sorted(self.streams.items())
                for watch_id, watcher in sorted(stream.watchers.items())
                if only is None or (place, watch_id) in only]
        markers = {}
        for key in sorted({watcher.marker() for *_, watcher in live}):
            answers = [self.session.unary("Put", {"key": key, "value": b"marker"}).result(),
                       self.session.unary("DeleteRange", {"key": key}).result()]
            markers[key] = [one["answer"]["header"]["revision"] if "answer" in one else 0
                            for one in answers]
        late = []
        for place, watch_id, stream, watcher in live:
            wanted = watcher.awaits(markers)
            if not stream.stream.wait(
                    lambda: watcher.seen >= wanted or watch_id in stream.canceled, EVENT_SECONDS):
                late.append(f"watch {watch_id} of stream {place}: seen {watcher.seen} of {wanted}")
        return late

    def close(self):
        for stream in self.streams.values():
            stream.stream.close()
        self.streams = {}
