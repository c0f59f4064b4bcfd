/// The newest version of a key, or a past one, with etcd's meanings.
public struct KeyValue: Hashable, Sendable {
    public var key: [UInt8]
    public var value: [UInt8]
    /// The keyspace's revision at which the key was created, after its last deletion.
    public var createRevision: Int64
    /// The revision at which this version was written.
    public var modRevision: Int64
    /// 1 at creation, raised by each put.
    public var version: Int64
    /// 0: no lease.
    public var lease: Int64

    public init(
        key: [UInt8], value: [UInt8], createRevision: Int64, modRevision: Int64, version: Int64,
        lease: Int64 = 0
    ) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
        self.lease = lease
    }
}

/// Which keys.
public struct KeySelection: Hashable, Sendable {
    /// etcd's `key` and `range_end`.
    var key: [UInt8]
    var rangeEnd: [UInt8]

    public static func key(_ key: [UInt8]) -> KeySelection {
        KeySelection(key: key, rangeEnd: [])
    }
    public static func key(_ key: String) -> KeySelection { .key(Array(key.utf8)) }

    /// Keys that start with the prefix; the empty prefix is every key.
    public static func prefix(_ prefix: [UInt8]) -> KeySelection {
        if prefix.isEmpty { return .all }
        var end = prefix
        while let last = end.last {
            if last < 0xFF {
                end[end.count - 1] = last + 1
                return KeySelection(key: prefix, rangeEnd: end)
            }
            end.removeLast()
        }
        return .from(prefix)
    }
    public static func prefix(_ prefix: String) -> KeySelection { .prefix(Array(prefix.utf8)) }

    /// From the first key on, up to and not including the second.
    public static func range(_ from: [UInt8], upTo end: [UInt8]) -> KeySelection {
        KeySelection(key: from, rangeEnd: end)
    }

    /// The key and all after it.
    public static func from(_ key: [UInt8]) -> KeySelection {
        KeySelection(key: key.isEmpty ? [0] : key, rangeEnd: [0])
    }

    public static let all = KeySelection(key: [0], rangeEnd: [0])
}

/// How a get selects, orders and cuts.
public struct GetOptions: Hashable, Sendable {
    public enum Order: Sendable { case unordered, ascending, descending }
    public enum Target: Sendable { case key, version, createRevision, modRevision, value }

    /// Read as of this revision; nil is the newest.
    public var revision: Int64?
    /// 0: no limit.
    public var limit: Int64 = 0
    public var order: Order = .unordered
    public var target: Target = .key
    public var keysOnly = false
    public var countOnly = false
    /// Read what the asked node has applied, without asking the leader: cheaper, and it may be
    /// behind.
    public var serializable = false

    public init() {}
}

public struct GetResult: Hashable, Sendable {
    public var keyValues: [KeyValue]
    /// Keys selected, whatever the limit.
    public var count: Int64
    public var more: Bool
    /// The keyspace's revision when it was read.
    public var revision: Int64
}

public struct PutResult: Hashable, Sendable {
    public var revision: Int64
    /// What was there before, when asked for.
    public var previous: KeyValue?
}

public struct DeleteResult: Hashable, Sendable {
    public var revision: Int64
    public var deleted: Int64
    public var previous: [KeyValue]
}
