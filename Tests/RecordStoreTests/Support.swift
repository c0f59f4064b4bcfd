import Primitives
import RecordModel
import RecordStore
import StorageEngine
import Testing

func bytes(_ text: String) -> Bytes { Bytes(text.utf8) }

/// Two hexadecimal digits a byte; white space is overlooked.
func hex(_ text: String) -> Bytes {
    let digits = text.filter { !$0.isWhitespace }.map { UInt8($0.hexDigitValue ?? 255) }
    precondition(digits.count % 2 == 0 && !digits.contains(255), "not hexadecimal: \(text)")
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

func term(_ name: String, _ value: String) -> IndexTerm {
    IndexTerm(name: bytes(name), value: bytes(value))
}

func put(
    _ key: String, _ value: String, _ terms: [IndexTerm] = [], wantsPrevious: Bool = false
) -> Operation {
    .put(
        PutRequest(
            key: bytes(key), value: bytes(value), wantsPrevious: wantsPrevious, terms: terms))
}

func delete(_ key: String) -> Operation {
    .deleteRange(DeleteRangeRequest(range: .key(bytes(key)), wantsPrevious: true))
}

func get(_ key: String) -> Operation { .range(RangeRequest(range: .key(bytes(key)))) }

func entry(
    _ index: UInt64, _ body: Command.Body, stamp: UInt64? = nil
) -> LogEntry {
    let id = ProposalID(node: NodeID(1), incarnation: 1, sequence: index)
    return LogEntry(
        term: Term(1), index: LogIndex(index),
        timestamp: HybridTimestamp(microseconds: stamp ?? 1_000 + index),
        payload: .command(Command(id: id, body: body).encode()))
}

/// All rows of an engine, but those of the given tables.
func dump(_ engine: any StorageEngine, without: Set<Table> = []) throws -> [[Bytes]] {
    let iterator = try engine.makeReadView().makeIterator(lower: [], upper: nil)
    var rows: [[Bytes]] = []
    iterator.seek(to: [])
    while iterator.isValid {
        if let table = Table(rawValue: iterator.key[0]), !without.contains(table) {
            rows.append([iterator.key, iterator.value])
        }
        iterator.next()
    }
    try iterator.checkStatus()
    return rows
}

/// A shard alone on an engine, given one command after another.
final class Shard {
    let engine: MemoryEngine
    let store: RecordStore

    init(
        _ keyspace: KeyspaceID = .default, engine: MemoryEngine = MemoryEngine(),
        limits: CommandLimits = .first
    ) throws {
        self.engine = engine
        store = try RecordStore(
            engine: engine, group: keyspace.group, keyspace: keyspace, limits: limits)
    }

    /// Steps of removal until nothing is left to remove.
    func removeAll(changesPerStep: Int = 1_000) throws {
        var limits = RemovalLimits()
        limits.changes = changesPerStep
        while try !store.removeSuperseded(limits).isDone {}
    }

    /// Rows of one table.
    func rows(_ table: Table) throws -> [Bytes] {
        try dump(engine, without: Set(Table.allCases).subtracting([table])).map { $0[0] }
    }

    @discardableResult
    func run(_ body: Command.Body, stamp: UInt64? = nil) throws -> CommandOutcome {
        let next = entry(store.appliedIndex.rawValue + 1, body, stamp: stamp)
        let applied = try store.apply([next])
        return try #require(applied.first?.outcome)
    }

    @discardableResult
    func run(_ operation: Operation) throws -> CommandOutcome { try run(.operation(operation)) }

    /// The result of an operation that must not be refused.
    @discardableResult
    func result(_ operation: Operation) throws -> OperationResult {
        guard case .operation(let result) = try run(operation).result.get() else {
            throw Surprise("an operation was answered with another result")
        }
        return result
    }

    func refusal(_ body: Command.Body, stamp: UInt64? = nil) throws -> CommandRefusal? {
        guard case .failure(let refusal) = try run(body, stamp: stamp).result else { return nil }
        return refusal
    }

    func refusal(_ operation: Operation) throws -> CommandRefusal? {
        try refusal(.operation(operation))
    }

    func range(_ request: RangeRequest) throws -> RangeResult {
        try store.makeReader().range(request)
    }

    /// Keys and values of a range as text.
    func listing(_ request: RangeRequest) throws -> [String] {
        try range(request).records.map(shown)
    }
}

func shown(_ record: Record) -> String {
    String(decoding: record.key, as: UTF8.self) + "="
        + String(decoding: record.value, as: UTF8.self)
}

struct Surprise: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
