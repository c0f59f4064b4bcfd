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
}
