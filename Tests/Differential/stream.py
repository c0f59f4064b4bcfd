"""A bidirectional stream whose answers are read on a thread of their own."""

import queue
import threading
import time

import grpc

from session import refusal


class Stream:
    """What arrives goes to `take`, under the lock; `wait` wakes whenever something did."""

    def __init__(self, client, method, take):
        self.requests = queue.SimpleQueue()
        self.changed = threading.Condition()
        self.take = take
        self.ended = None  # the refusal that ended it
        self.answers = client.stream(method, iter(self.requests.get, None))
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        ended = {"ended": "without an error"}
        try:
            for answer in self.answers:
                with self.changed:
                    self.take(answer)
                    self.changed.notify_all()
        except grpc.RpcError as error:
            ended = refusal(error)
        except ValueError as error:  # not a message as etcd writes it
            ended = {"undecodable": str(error)}
        with self.changed:
            self.ended = ended
            self.changed.notify_all()

    def send(self, request):
        self.requests.put(request)

    def wait(self, condition, seconds):
        """Until `condition()` is true, the stream ended, or time is up; whether it became true."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not condition():
                left = deadline - time.monotonic()
                if self.ended is not None or left <= 0:
                    return False
                self.changed.wait(left)
            return True

    def close(self):
        self.requests.put(None)
        self.answers.cancel()
