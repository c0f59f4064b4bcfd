/// The targets and who may import whom. A new target is added here first.
enum Rings {
    /// From `docs/ARCHITECTURE.md`. The pure ring imports nothing of the outside but
    /// `Synchronization`.
    static let pure: [String: Set<String>] = [
        "Primitives": [],
        "Consensus": ["Primitives"],
        "MultiRaft": ["Primitives", "Consensus"],
        "ReplicatedLog": ["Primitives"],
        "RecordModel": ["Primitives"],
        "StorageEngine": ["Primitives"],
        "RecordStore": ["Primitives", "RecordModel", "StorageEngine"],
        "Simulation": [
            "Primitives", "Consensus", "MultiRaft", "ReplicatedLog", "RecordModel", "StorageEngine",
            "RecordStore",
        ],
        "FHIRCore": ["Primitives"],
    ]

    /// One door for each C library: the module, and the only target that imports it.
    static let doors = [
        "CRocksDB": "RocksDBEngine",
        "RocksDBShim": "RocksDBEngine",
        "COpenSSL": "SnapshotArchive",
        "CZstd": "SnapshotArchive",
    ]

    static let edge: Set<String> = ["RocksDBEngine", "SnapshotArchive", "WireProtocol", "RPC"]
    static let shell: Set<String> = ["NodeRuntime", "SpineClient", "FHIRServer"]
    static let executables: Set<String> = ["spined", "spinectl", "simulate"]

    /// What a target must not know although its ring would let it.
    static let mustNotKnow: [String: Set<String>] = [
        "RocksDBEngine": ["RecordModel", "RecordStore", "Consensus"],
        "SnapshotArchive": ["Consensus", "ReplicatedLog", "RecordStore"],
        "RPC": ["SwiftProtobuf", "RecordModel", "RecordStore", "Consensus"],
        "NodeRuntime": ["FHIRCore"],
        "SpineClient": ["Consensus", "ReplicatedLog", "RecordStore", "StorageEngine"],
        "FHIRServer": ["Consensus", "ReplicatedLog", "RecordStore", "StorageEngine"],
    ]

    static var all: Set<String> {
        Set(pure.keys).union(doors.keys).union(edge).union(shell).union(executables)
    }

    /// Why `target` may not import `module`; `nil` when it may.
    static func objection(to target: String, importing module: String) -> String? {
        if let door = doors[module] {
            return target == door ? nil : "only \(door) imports \(module): use what it offers"
        }
        if let allowed = pure[target] {
            if allowed.contains(module) || module == "Synchronization" { return nil }
            if all.contains(module) {
                return "\(target) may import \(allowed.sorted()): move what both need down"
            }
            return "the pure ring imports nothing from outside: "
                + (purely[module] ?? "take what it would give as an argument")
        }
        if mustNotKnow[target]?.contains(module) == true {
            return "\(target) must not know \(module): its caller joins them"
        }
        guard all.contains(module), pure[module] == nil else { return nil }
        let below: Set<String> =
            if edge.contains(target) {
                []
            } else if shell.contains(target) {
                edge
            } else {
                edge.union(shell)
            }
        return below.contains(module)
            ? nil : "\(module) is not below \(target): imports go downwards only"
    }

    /// What stands in for a module that the pure ring must do without.
    static let purely = [
        "Foundation": "Bytes, String and Primitives' codecs; the shell converts at its border",
        "FoundationEssentials": "Bytes, String and Primitives' codecs",
        "Glibc": "a protocol like LogDevice, which the shell meets",
        "Dispatch": "values in, effects out; the shell owns the threads",
        "NIOCore": "Bytes and ArraySlice<UInt8>",
        "Logging": "an effect or an error that says what happened; the shell logs it",
        "Crypto": "Primitives' CRC32C against rot; digests and keys belong to the edge",
    ]
}
