import Primitives
import RecordModel
import SpineClient
import Synchronization
import Testing

@testable import NodeRuntime

@Suite(.serialized) struct RecoveryServiceTests {
    /// A recovery point as its stream gave it.
    private struct Received {
        var revision: UInt64 = 0
        var rows: [RecordVersion] = []
        var chunks: [[UInt8]] = []
        var count: UInt64 = 0
        var digest: [UInt8] = []
    }

    private static func snapshot(_ client: SpineClient) async throws -> [String: Received] {
        let received = Mutex<[String: Received]>([:])
        let current = Mutex("")
        try await client.createSnapshot { event in
            switch event {
            case .keyspaceStart(let name, let revision, _, _, _):
                current.withLock { $0 = name }
                received.withLock { $0[name] = Received(revision: revision) }
            case .rows(let bytes, _):
                var rows: [RecordVersion] = []
                var reader = ByteReader(bytes)
                while reader.remaining > 0 { rows.append(try VersionRow.decode(from: &reader)) }
                let name = current.withLock { $0 }
                received.withLock { received in
                    received[name]?.rows.append(contentsOf: rows)
                    received[name]?.chunks.append(bytes)
                }
            case .keyspaceEnd(let count, let digest):
                let name = current.withLock { $0 }
                received.withLock { received in
                    received[name]?.count = count
                    received[name]?.digest = digest
                }
            case .end: break
            }
        }
        return received.withLock { $0 }
    }

    /// Writes two keys in one transaction, each time other ones.
    private final class PairWriter: Sendable {
        let isDone = Atomic(false)
        private let written = Atomic(0)
        private let client: SpineClient

        init(client: SpineClient) { self.client = client }

        func write() async throws {
            let number = written.wrappingAdd(1, ordering: .relaxed).oldValue
            let value = [UInt8](repeating: UInt8(number % 251), count: 2000)
            let pair = ["x", "y"].map { name in
                Transaction.Operation.put(key: Array("\(name)/\(number % 50)".utf8), value: value)
            }
            _ = try await client.transaction(Transaction(then: pair))
        }
    }

    /// The cut: every change up to the stated revision is there, none after it, although writers go
    /// on meanwhile; and what one transaction wrote is there together or not at all.
    @Test func aRecoveryPointIsCutAtOneRevisionUnderLiveWrites() async throws {
        try await TestCluster.with(nodes: 1) { cluster in
            let client = try cluster.client()
            let writer = PairWriter(client: client)
            for _ in 0..<300 { try await writer.write() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        while !writer.isDone.load(ordering: .relaxed) { try await writer.write() }
                    }
                }
                for _ in 0..<3 {
                    let before = try await client.get(.all).revision
                    let point = try await Self.snapshot(client)
                    let after = try await client.get(.all).revision
                    guard let received = point["default"] else {
                        Issue.record("keyspace default is not in the recovery point")
                        continue
                    }
                    #expect(received.revision >= UInt64(before))
                    #expect(received.revision <= UInt64(after))
                    let revisions = Set(received.rows.map { UInt64($0.modRevision.rawValue) })
                    #expect(revisions == Set(2...received.revision))
                    var perRevision: [UInt64: Int] = [:]
                    for row in received.rows {
                        perRevision[UInt64(row.modRevision.rawValue), default: 0] += 1
                    }
                    #expect(perRevision.values.allSatisfy { $0 == 2 })
                    #expect(received.count == UInt64(received.rows.count))
                    #expect(point["fhir"]?.rows.isEmpty == true)
                }
                writer.isDone.store(true, ordering: .relaxed)
                try await group.waitForAll()
            }
            await client.close()
        }
    }

    @Test func anInterruptedRestoreNeverServesAndCanBeRunAgain() async throws {
        try await TestCluster.with(nodes: 1) { source in
            let from = try source.client()
            for number in 0..<40 { _ = try await from.put(Array("k\(number % 7)".utf8), [1]) }
            _ = try await from.delete(.key("k3"))
            let point = try await Self.snapshot(from)
            guard let rows = point["default"] else { preconditionFailure("no keyspace default") }

            try await TestCluster.with(nodes: 1) { target in
                let to = try target.client()
                func begin() async throws {
                    _ = try await to.beginRestore(
                        keyspace: "default", restoreID: "r", revision: rows.revision,
                        compactRevision: 0)
                }
                func expectNotServing() async {
                    await #expect(throws: SpineError.self) { try await to.get(.all) }
                    await #expect(throws: SpineError.self) { try await to.put([1], [1]) }
                }
                try await begin()
                await expectNotServing()
                for (sequence, chunk) in rows.chunks.enumerated() {
                    _ = try await to.applyRestoreRows(
                        keyspace: "default", restoreID: "r", sequence: UInt64(sequence),
                        rows: chunk)
                }
                await expectNotServing()
                // A wrong count is refused, and leaves it not serving.
                await #expect(throws: SpineError.self) {
                    try await to.finishRestore(
                        keyspace: "default", restoreID: "r", rowCount: rows.count + 1,
                        digest: rows.digest)
                }
                await target.stop("n1")
                try await target.start("n1")
                await expectNotServing()

                try await begin()
                for (sequence, chunk) in rows.chunks.enumerated() {
                    _ = try await to.applyRestoreRows(
                        keyspace: "default", restoreID: "r", sequence: UInt64(sequence),
                        rows: chunk)
                }
                _ = try await to.finishRestore(
                    keyspace: "default", restoreID: "r", rowCount: rows.count,
                    digest: rows.digest)
                await expectNotServing()
                _ = try await to.activateRestore(keyspace: "default", restoreID: "r")

                let original = try await from.get(.all)
                let restored = try await to.get(.all)
                #expect(restored == original)
                for revision in 2...Int64(rows.revision) {
                    var then = GetOptions()
                    then.revision = revision
                    #expect(
                        try await to.get(.all, then).keyValues
                            == from.get(.all, then).keyValues)
                }
                let again = try await Self.snapshot(to)
                #expect(again["default"]?.rows == rows.rows, "timestamps and history included")
                #expect(again["default"]?.digest == rows.digest)
                // Life goes on above what was restored; a second restore is refused.
                let put = try await to.put([9], [9])
                #expect(put.revision == Int64(rows.revision) + 1)
                await #expect(throws: SpineError.self) { try await begin() }
                await to.close()
            }
            await from.close()
        }
    }

    /// Numbers from which counting on would overflow are refused where they come in: an entry that
    /// no replica can apply would end the cluster.
    @Test func anArchiveCannotBringNumbersThatOverflow() async throws {
        try await TestCluster.with(nodes: 1) { cluster in
            let client = try cluster.client()
            for revision in [UInt64(Int64.max), .max, 1 << 62 + 1] as [UInt64] {
                await #expect(throws: SpineError.self, "revision \(revision)") {
                    try await client.beginRestore(
                        keyspace: "default", restoreID: "r", revision: revision,
                        compactRevision: 0)
                }
            }
            _ = try await client.beginRestore(
                keyspace: "default", restoreID: "r", revision: 10, compactRevision: 10)
            func refused(_ record: Record) async {
                let row = RecordVersion(
                    key: record.key, modRevision: record.modRevision, subRevision: 0,
                    timestamp: record.timestamp, kind: .put(record))
                var writer = ByteWriter()
                VersionRow.encode(row, into: &writer)
                let bytes = writer.bytes
                await #expect(throws: SpineError.self, "\(record)") {
                    try await client.applyRestoreRows(
                        keyspace: "default", restoreID: "r", sequence: 0, rows: bytes)
                }
            }
            let now = HybridTimestamp(microseconds: 1)
            await refused(
                Record(
                    key: [1], value: [], createRevision: Revision(2), modRevision: Revision(5),
                    version: .max, timestamp: now))
            await refused(
                Record(
                    key: [1], value: [], createRevision: Revision(5), modRevision: Revision(5),
                    version: 1, timestamp: HybridTimestamp(microseconds: .max)))
            // The node is alive, and the keyspace can still be brought to serve.
            _ = try await client.finishRestore(
                keyspace: "default", restoreID: "r", rowCount: 0,
                digest: LogicalDigest().bytes)
            _ = try await client.activateRestore(keyspace: "default", restoreID: "r")
            #expect(try await client.put([1], [1]).revision == 11)
            // Once active it is not begun again, although it holds next to nothing.
            await #expect(throws: SpineError.self) {
                try await client.beginRestore(
                    keyspace: "default", restoreID: "r", revision: 10, compactRevision: 0)
            }
            await client.close()
        }
    }
}
