"""An etcd v3 client over Debian's grpcio.

The messages are encoded here from etcd's published field numbers, so that a wrong number in the
project's own proto files cannot hide behind itself. A message is a dict; a field that is absent
or zero reads as zero, as in proto3.
"""

import grpc

# message -> {field number: (name, type)}; "*" before a type means repeated.
MESSAGES = {
    "ResponseHeader": {1: ("cluster_id", "uint"), 2: ("member_id", "uint"), 3: ("revision", "int"),
                       4: ("raft_term", "uint")},
    "KeyValue": {1: ("key", "bytes"), 2: ("create_revision", "int"), 3: ("mod_revision", "int"),
                 4: ("version", "int"), 5: ("value", "bytes"), 6: ("lease", "int")},
    "RangeRequest": {1: ("key", "bytes"), 2: ("range_end", "bytes"), 3: ("limit", "int"),
                     4: ("revision", "int"), 5: ("sort_order", "int"), 6: ("sort_target", "int"),
                     7: ("serializable", "int"), 8: ("keys_only", "int"), 9: ("count_only", "int"),
                     10: ("min_mod_revision", "int"), 11: ("max_mod_revision", "int"),
                     12: ("min_create_revision", "int"), 13: ("max_create_revision", "int")},
    "RangeResponse": {1: ("header", "ResponseHeader"), 2: ("kvs", "*KeyValue"), 3: ("more", "int"),
                      4: ("count", "int")},
    "PutRequest": {1: ("key", "bytes"), 2: ("value", "bytes"), 3: ("lease", "int"),
                   4: ("prev_kv", "int"), 5: ("ignore_value", "int"), 6: ("ignore_lease", "int")},
    "PutResponse": {1: ("header", "ResponseHeader"), 2: ("prev_kv", "KeyValue")},
    "DeleteRangeRequest": {1: ("key", "bytes"), 2: ("range_end", "bytes"), 3: ("prev_kv", "int")},
    "DeleteRangeResponse": {1: ("header", "ResponseHeader"), 2: ("deleted", "int"),
                            3: ("prev_kvs", "*KeyValue")},
    "RequestOp": {1: ("request_range", "RangeRequest"), 2: ("request_put", "PutRequest"),
                  3: ("request_delete_range", "DeleteRangeRequest"), 4: ("request_txn", "TxnRequest")},
    "ResponseOp": {1: ("response_range", "RangeResponse"), 2: ("response_put", "PutResponse"),
                   3: ("response_delete_range", "DeleteRangeResponse"),
                   4: ("response_txn", "TxnResponse")},
    "Compare": {1: ("result", "int"), 2: ("target", "int"), 3: ("key", "bytes"),
                4: ("version", "set int"), 5: ("create_revision", "set int"),
                6: ("mod_revision", "set int"), 7: ("value", "set bytes"), 8: ("lease", "set int"),
                64: ("range_end", "bytes")},
    "TxnRequest": {1: ("compare", "*Compare"), 2: ("success", "*RequestOp"),
                   3: ("failure", "*RequestOp")},
    "TxnResponse": {1: ("header", "ResponseHeader"), 2: ("succeeded", "int"),
                    3: ("responses", "*ResponseOp")},
    "StatusRequest": {},
    "StatusResponse": {1: ("header", "ResponseHeader"), 2: ("version", "bytes"),
                       3: ("dbSize", "int"), 4: ("leader", "uint"), 5: ("raftIndex", "uint"),
                       6: ("raftTerm", "uint"), 7: ("raftAppliedIndex", "uint"),
                       8: ("errors", "*bytes"), 9: ("dbSizeInUse", "int"),
                       10: ("isLearner", "int")},
    "Member": {1: ("ID", "uint"), 2: ("name", "bytes"), 3: ("peerURLs", "*bytes"),
               4: ("clientURLs", "*bytes"), 5: ("isLearner", "int")},
    "MemberListRequest": {1: ("linearizable", "int")},
    "MemberListResponse": {1: ("header", "ResponseHeader"), 2: ("members", "*Member")},
    "CompactionRequest": {1: ("revision", "int"), 2: ("physical", "int")},
    "CompactionResponse": {1: ("header", "ResponseHeader")},
    "LeaseGrantRequest": {1: ("TTL", "int"), 2: ("ID", "int")},
    "LeaseGrantResponse": {1: ("header", "ResponseHeader"), 2: ("ID", "int"), 3: ("TTL", "int"),
                           4: ("error", "bytes")},
    "LeaseRevokeRequest": {1: ("ID", "int")},
    "LeaseRevokeResponse": {1: ("header", "ResponseHeader")},
    "LeaseKeepAliveRequest": {1: ("ID", "int")},
    "LeaseKeepAliveResponse": {1: ("header", "ResponseHeader"), 2: ("ID", "int"),
                               3: ("TTL", "int")},
    "LeaseTimeToLiveRequest": {1: ("ID", "int"), 2: ("keys", "int")},
    "LeaseTimeToLiveResponse": {1: ("header", "ResponseHeader"), 2: ("ID", "int"),
                                3: ("TTL", "int"), 4: ("grantedTTL", "int"), 5: ("keys", "*bytes")},
    "LeaseLeasesRequest": {},
    "LeaseStatus": {1: ("ID", "int")},
    "LeaseLeasesResponse": {1: ("header", "ResponseHeader"), 2: ("leases", "*LeaseStatus")},
    "Event": {1: ("type", "int"), 2: ("kv", "KeyValue"), 3: ("prev_kv", "KeyValue")},
    "WatchCreateRequest": {1: ("key", "bytes"), 2: ("range_end", "bytes"),
                           3: ("start_revision", "int"), 4: ("progress_notify", "int"),
                           5: ("filters", "*int"), 6: ("prev_kv", "int"), 7: ("watch_id", "int"),
                           8: ("fragment", "int")},
    "WatchCancelRequest": {1: ("watch_id", "int")},
    "WatchProgressRequest": {},
    "WatchRequest": {1: ("create_request", "WatchCreateRequest"),
                     2: ("cancel_request", "WatchCancelRequest"),
                     3: ("progress_request", "WatchProgressRequest")},
    "WatchResponse": {1: ("header", "ResponseHeader"), 2: ("watch_id", "int"),
                      3: ("created", "int"), 4: ("canceled", "int"),
                      5: ("compact_revision", "int"), 6: ("cancel_reason", "bytes"),
                      7: ("fragment", "int"), 11: ("events", "*Event")},
    "AlarmRequest": {1: ("action", "int"), 2: ("memberID", "uint"), 3: ("alarm", "int")},
    "AlarmMember": {1: ("memberID", "uint"), 2: ("alarm", "int")},
    "AlarmResponse": {1: ("header", "ResponseHeader"), 2: ("alarms", "*AlarmMember")},
    "DefragmentRequest": {},
    "DefragmentResponse": {1: ("header", "ResponseHeader")},
    "HashRequest": {},
    "HashResponse": {1: ("header", "ResponseHeader"), 2: ("hash", "uint")},
    "HashKVRequest": {1: ("revision", "int")},
    "HashKVResponse": {1: ("header", "ResponseHeader"), 2: ("hash", "uint"),
                       3: ("compact_revision", "int"), 4: ("hash_revision", "int")},
    "MoveLeaderRequest": {1: ("targetID", "uint")},
    "MoveLeaderResponse": {1: ("header", "ResponseHeader")},
}

# method -> (service, request); the response is named by the method, as in etcd.
METHODS = {
    "Range": ("KV", "RangeRequest"), "Put": ("KV", "PutRequest"),
    "DeleteRange": ("KV", "DeleteRangeRequest"), "Txn": ("KV", "TxnRequest"),
    "Compact": ("KV", "CompactionRequest"),
    "LeaseGrant": ("Lease", "LeaseGrantRequest"), "LeaseRevoke": ("Lease", "LeaseRevokeRequest"),
    "LeaseKeepAlive": ("Lease", "LeaseKeepAliveRequest"),
    "LeaseTimeToLive": ("Lease", "LeaseTimeToLiveRequest"),
    "LeaseLeases": ("Lease", "LeaseLeasesRequest"), "Watch": ("Watch", "WatchRequest"),
    "Status": ("Maintenance", "StatusRequest"), "Alarm": ("Maintenance", "AlarmRequest"),
    "Defragment": ("Maintenance", "DefragmentRequest"), "Hash": ("Maintenance", "HashRequest"),
    "HashKV": ("Maintenance", "HashKVRequest"),
    "MoveLeader": ("Maintenance", "MoveLeaderRequest"),
    "MemberList": ("Cluster", "MemberListRequest")}

EQUAL, GREATER, LESS, NOT_EQUAL = 0, 1, 2, 3
VERSION, CREATE, MOD, VALUE, LEASE = 0, 1, 2, 3, 4


def path_of(method):
    return f"/etcdserverpb.{METHODS[method][0]}/{method}"


def response_of(method):
    return METHODS[method][1].removesuffix("Request") + "Response"


def _varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(message, fields):
    """Encodes a dict; names that the message does not have are an error."""
    layout = {name: (number, kind) for number, (name, kind) in MESSAGES[message].items()}
    out = b""
    for name, value in fields.items():
        number, kind = layout[name]
        explicit = kind.startswith("set ")  # member of a oneof: zero is not absence
        kind = kind.removeprefix("set ")
        for item in value if kind.startswith("*") else [value]:
            base = kind.removeprefix("*")
            if base in ("int", "uint"):
                if item or explicit:
                    out += _varint(number << 3) + _varint(int(item))
            else:
                body = item if base == "bytes" else encode(base, item)
                if body or base != "bytes" or explicit or kind.startswith("*"):
                    out += _varint(number << 3 | 2) + _varint(len(body)) + body
    return out


def _read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def decode(message, data):
    """Decodes into a dict with every field present; unknown fields are an error."""
    out = {}
    for name, kind in MESSAGES[message].values():
        kind = kind.removeprefix("set ")
        out[name] = [] if kind.startswith("*") else {"int": 0, "uint": 0, "bytes": b""}.get(kind)
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        if tag >> 3 not in MESSAGES[message]:
            raise ValueError(f"{message} has no field {tag >> 3}")
        name, kind = MESSAGES[message][tag >> 3]
        kind = kind.removeprefix("set ")
        base = kind.removeprefix("*")
        value, at = _read_varint(data, at)
        if base in ("int", "uint"):
            if tag & 7 != 0:
                raise ValueError(f"{message}.{name} has wire type {tag & 7}")
            if base == "int" and value >> 63:
                value -= 1 << 64
        else:
            if tag & 7 != 2 or at + value > len(data):
                raise ValueError(f"{message}.{name} has wire type {tag & 7}, length {value}")
            body, at = data[at:at + value], at + value
            value = body if base == "bytes" else decode(base, body)
        if kind.startswith("*"):
            out[name].append(value)
        else:
            out[name] = value
    return out


def prefix_end(key):
    """The end of the range of all keys that begin with `key` (etcd's convention)."""
    for i in range(len(key) - 1, -1, -1):
        if key[i] < 0xFF:
            return key[:i] + bytes([key[i] + 1])
    return b"\0"


class Client:
    """One connection to one endpoint. Errors are grpc.RpcError."""

    def __init__(self, endpoint, keyspace=None):
        self.channel = grpc.insecure_channel(endpoint, options=[
            ("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", 64 << 20),
            ("grpc.max_send_message_length", 64 << 20),
            ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500)])
        self.metadata = [("spine-keyspace", keyspace)] if keyspace else None
        self.calls = {}

    def call(self, method, fields, timeout=5):
        return self.begin(method, fields, timeout).result()

    def begin(self, method, fields, timeout=5):
        """A call under way; its `result()` is the answer."""
        if method not in self.calls:
            request, response = METHODS[method][1], response_of(method)
            self.calls[method] = self.channel.unary_unary(
                path_of(method),
                request_serializer=lambda fields: encode(request, fields),
                response_deserializer=lambda data: decode(response, data))
        return self.calls[method].future(fields, timeout=timeout, metadata=self.metadata)

    def stream(self, method, requests):
        """Opens a bidirectional stream; `requests` is an iterator of dicts."""
        request, response = METHODS[method][1], response_of(method)
        return self.channel.stream_stream(
            path_of(method),
            request_serializer=lambda fields: encode(request, fields),
            response_deserializer=lambda data: decode(response, data),
        )(requests, metadata=self.metadata)

    def raw(self, path, body, timeout=5):
        """A call with a body as it is; its `result()` is the body of the answer."""
        return self.channel.unary_unary(path).future(body, timeout=timeout, metadata=self.metadata)

    def put(self, key, value, timeout=5, **fields):
        return self.call("Put", {"key": key, "value": value, **fields}, timeout)

    def get(self, key, timeout=5, **fields):
        return self.call("Range", {"key": key, **fields}, timeout)

    def delete(self, key, timeout=5, **fields):
        return self.call("DeleteRange", {"key": key, **fields}, timeout)

    def txn(self, compare=(), success=(), failure=(), timeout=5):
        return self.call("Txn", {"compare": compare, "success": success, "failure": failure},
                         timeout)

    def status(self, timeout=5):
        return self.call("Status", {}, timeout)

    def members(self, timeout=5):
        return self.call("MemberList", {"linearizable": 1}, timeout)["members"]

    def all(self, key=b"\0", range_end=b"\0", page=1000, revision=0):
        """Every key-value of a range, in pages, all at one revision."""
        while True:
            answer = self.get(key, range_end=range_end, limit=page, revision=revision, timeout=30)
            revision = revision or answer["header"]["revision"]
            yield from answer["kvs"]
            if not answer["more"]:
                return
            key = answer["kvs"][-1]["key"] + b"\0"

    def close(self):
        self.channel.close()


def leader_of(nodes, timeout=5):
    """The node that leads, by the Status of each; None when no node answers that it does."""
    for node in nodes:
        client = Client(node.endpoint)
        try:
            status = client.status(timeout)
            if status["leader"] and status["leader"] == status["header"]["member_id"]:
                return node
        except grpc.RpcError:
            pass
        finally:
            client.close()
    return None
