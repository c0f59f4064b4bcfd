import Primitives
import RecordModel

/// A map of few keys, of the simulator's own, which makes and takes snapshots. It is a value with
/// a digest, so that an image of it costs nothing.
struct RegisterState: Hashable, Sendable {
    var appliedIndex = LogIndex.zero
    var appliedTerm = Term.zero
    var digest: UInt64 = 0
    var newestTimestamp = HybridTimestamp.zero
    /// Of the entry applied last that holds one, with its index; zero and empty before.
    var configurationIndex = LogIndex.zero
    var configuration: Bytes = []
    /// Counts the commands that changed something.
    var revision = Revision.initial
    var values: [Cell] = []

    struct Cell: Hashable, Sendable {
        var key: Bytes
        var value: Bytes
        var modRevision: Revision
    }

    func cell(_ key: Bytes) -> Cell? { values.first { $0.key == key } }

    mutating func mix(_ word: UInt64) {
        digest = (digest ^ word) &* 0x9E37_79B9_7F4A_7C15
        digest ^= digest >> 31
    }

    mutating func mix(_ bytes: Bytes) {
        mix(UInt64(bytes.count))
        for byte in bytes { mix(UInt64(byte)) }
    }

    mutating func apply(_ entry: LogEntry) -> MachineAnswer? {
        precondition(
            entry.index == appliedIndex.next, "entry \(entry.index) after \(appliedIndex)")
        appliedIndex = entry.index
        appliedTerm = entry.term
        newestTimestamp = max(newestTimestamp, entry.timestamp)
        mix(entry.term.rawValue)
        if case .configuration(let bytes) = entry.payload {
            (configurationIndex, configuration) = (entry.index, bytes)
        }
        guard case .command(let bytes) = entry.payload else { return nil }
        mix(bytes)
        guard let command = RegisterCommand(decoding: bytes) else { return nil }
        let answer = perform(command)
        return MachineAnswer(index: entry.index, proposal: command.id, answer: .key(answer))
    }

    func read(_ key: Bytes) -> KeyAnswer {
        guard let cell = cell(key) else { return .absent }
        return .present(cell.value, modRevision: cell.modRevision)
    }

    private mutating func perform(_ command: RegisterCommand) -> KeyAnswer {
        let known = values.firstIndex { $0.key == command.key }
        switch command.action {
        case .read: return read(command.key)
        case .put(let value): return put(command.key, value, at: known)
        case .compareAndPut(let condition, let value):
            let holds =
                switch condition {
                case .value(let expected): known.map { values[$0].value } == expected
                case .modRevision(let expected):
                    (known.map { values[$0].modRevision } ?? .none) == expected
                }
            return holds ? put(command.key, value, at: known) : .conditionFailed
        case .delete:
            guard let known else { return .deleted(existed: false, revision: nil) }
            revision = revision.next
            values.remove(at: known)
            return .deleted(existed: true, revision: revision)
        }
    }

    private mutating func put(_ key: Bytes, _ value: Bytes, at known: Int?) -> KeyAnswer {
        revision = revision.next
        let cell = Cell(key: key, value: value, modRevision: revision)
        if let known { values[known] = cell } else { values.append(cell) }
        return .written(revision: revision)
    }
}

/// The machine over its disk. Fault model: a stop keeps the state of some batch since the last
/// flush, that of the flush included; an install is durable at once.
final class RegisterMachine: StateMachine {
    private(set) var state = RegisterState()
    private var durable = RegisterState()
    /// After each batch since the last flush; a bounded number, the oldest of which is written back
    /// beyond it.
    private var unflushed: [RegisterState] = []
    private static let unflushedMax = 64

    var appliedIndex: LogIndex { state.appliedIndex }
    var digest: UInt64 { state.digest }
    var newestTimestamp: HybridTimestamp { state.newestTimestamp }
    var configuration: (index: LogIndex, encoded: Bytes)? {
        state.configurationIndex > .zero ? (state.configurationIndex, state.configuration) : nil
    }

    func apply(_ entries: [LogEntry]) -> [MachineAnswer] {
        var answers: [MachineAnswer] = []
        for entry in entries where entry.index > state.appliedIndex {
            if let answer = state.apply(entry) { answers.append(answer) }
        }
        unflushed.append(state)
        if unflushed.count > Self.unflushedMax { durable = unflushed.removeFirst() }
        return answers
    }

    func flush() {
        durable = state
        unflushed = []
    }

    func persistedIndex() -> LogIndex { durable.appliedIndex }

    func snapshot() -> MachineSnapshot? { MachineSnapshot(registers: state) }

    func install(_ snapshot: MachineSnapshot) {
        state = snapshot.registers
        flush()
    }

    func stop(seed: UInt64) {
        let kept = Int(seed % UInt64(unflushed.count + 1))
        if kept > 0 { durable = unflushed[kept - 1] }
        unflushed = []
    }

    func start() { state = durable }

    func wipe() {
        durable = RegisterState()
        unflushed = []
        state = durable
    }

    /// What is on the disk, for a volume that comes back as it was.
    var image: RegisterState {
        get { durable }
        set {
            durable = newValue
            unflushed = []
            state = newValue
        }
    }
}

/// A command of the map: proposal, key, action.
struct RegisterCommand: Hashable {
    var id: ProposalID
    var key: Bytes
    var action: KeyRequest.Action

    func encoded() -> Bytes {
        var writer = ByteWriter(reserving: 48)
        writer.write(id.node.rawValue)
        writer.writeVarint(id.incarnation)
        writer.writeVarint(id.sequence)
        writer.writeLengthPrefixed(key)
        switch action {
        case .read: writer.write(UInt8(0))
        case .put(let value):
            writer.write(UInt8(1))
            writer.writeLengthPrefixed(value)
        case .compareAndPut(.value(let expected), let value):
            writer.write(UInt8(expected == nil ? 2 : 3))
            writer.writeLengthPrefixed(expected ?? [])
            writer.writeLengthPrefixed(value)
        case .compareAndPut(.modRevision(let expected), let value):
            writer.write(UInt8(4))
            writer.write(expected.rawValue)
            writer.writeLengthPrefixed(value)
        case .delete: writer.write(UInt8(5))
        }
        return writer.bytes
    }

    init(id: ProposalID, key: Bytes, action: KeyRequest.Action) {
        self.id = id
        self.key = key
        self.action = action
    }

    init?(decoding bytes: Bytes) {
        do throws(DecodingFailure) {
            try self.init(bytes)
        } catch {
            return nil
        }
    }

    private init(_ bytes: Bytes) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        id = ProposalID(
            node: NodeID(try reader.read("node")),
            incarnation: try reader.readVarint("incarnation"),
            sequence: try reader.readVarint("sequence"))
        key = Bytes(try reader.readLengthPrefixed("key"))
        let kind = try reader.read(UInt8.self, "action")
        switch kind {
        case 0: action = .read
        case 1: action = .put(Bytes(try reader.readLengthPrefixed("value")))
        case 2, 3:
            let expected = Bytes(try reader.readLengthPrefixed("expected"))
            action = .compareAndPut(
                .value(kind == 2 ? nil : expected), Bytes(try reader.readLengthPrefixed("value")))
        case 4:
            let expected = Revision(try reader.read("expected"))
            action = .compareAndPut(
                .modRevision(expected), Bytes(try reader.readLengthPrefixed("value")))
        case 5: action = .delete
        default: throw .invalid(field: "action", offset: 0)
        }
        try reader.expectEnd()
    }
}
