import Foundation
import Primitives
import ReplicatedLog

/// More seeds and every bit, for a machine that has the time: `THOROUGH=1 swift test`. Without it
/// the suites reach the same verdicts and paths with fewer cases of each.
let isThorough = ProcessInfo.processInfo.environment["THOROUGH"] != nil

/// What the tests of the log share.
enum Fixture {
    static let identity = LogIdentity(cluster: ClusterID(0xC1), node: NodeID(0xA1))
    /// The smallest segments, so that a short test fills several.
    static let settings = LogSettings(segmentBytes: 16 << 10)

    static func open(
        _ device: any LogDevice, settings: LogSettings = settings
    ) throws(LogError) -> (
        log: ReplicatedLog, groups: [GroupID: RecoveredGroup], report: RecoveryReport
    ) {
        try ReplicatedLog.open(device: device, identity: identity, settings: settings)
    }

    /// An entry whose bytes follow from its place and `fill`.
    static func entry(
        _ index: UInt64, term: UInt64 = 1, bytes: Int = 100, fill: UInt8 = 0xAB
    ) -> LogEntry {
        LogEntry(
            term: Term(term), index: LogIndex(index),
            timestamp: HybridTimestamp(microseconds: 1_000_000 + index, logical: UInt32(term)),
            payload: .command(
                (0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ Int(index)) ^ fill }))
    }

    static func append(
        _ group: UInt32, term: UInt64 = 1, entries: ClosedRange<UInt64>, bytes: Int = 100
    ) -> GroupAppend {
        GroupAppend(
            group: GroupID(group), entries: entries.map { entry($0, term: term, bytes: bytes) }[...]
        )
    }
}

/// The corruption that `body` runs into, `nil` when it runs through.
func corruption(in body: () throws -> Void) throws -> LogCorruption? {
    do {
        try body()
        return nil
    } catch let error as LogError {
        guard case .corruption(let corruption) = error else { throw error }
        return corruption
    }
}

extension ReplicatedLog {
    /// All entries of a group.
    func everything(of group: GroupID) throws(LogError) -> [LogEntry] {
        let (first, last) = bounds(of: group)
        var entries: [LogEntry] = []
        while first + UInt64(entries.count) <= last {
            entries += try self.entries(
                of: group, from: first + UInt64(entries.count), through: last, maxBytes: 4096)
        }
        return entries
    }
}
