import Foundation
import Primitives
import RPC
import RecordModel
import RecordStore
import RocksDBEngine
import SpineClient
import StorageEngine
import Testing
import WireProtocol

@testable import NodeRuntime

@Suite(.serialized) struct RemovalTests {
    /// etcd `Compact` with `physical`: the answer comes once what it hides is gone here.
    @Test func aPhysicalCompactionAnswersOnceTheRowsAreGone() async throws {
        try await TestCluster.with(nodes: 1) { cluster in
            let client = try cluster.client()
            for number in 0..<40 { _ = try await client.put([1], [UInt8(number)]) }
            // A node holds its directory's lock for as long as anybody holds the node.
            try await compactThrough40(#require(cluster.running["n1"]?.node))
            // What was done already is answered at once, also by a node that was started again.
            await cluster.stop("n1")
            try await cluster.start("n1")
            let again = try #require(cluster.running["n1"]?.node)
            try await removed(again, .default, through: 40)
            await client.close()
        }
    }

    private func compactThrough40(_ node: Node) async throws {
        _ = try await node.submit(.compact(through: Revision(40)), to: .default).get()
        try await removed(node, .default, through: 40)
        #expect(try historyRows(node, .default) == 1)
    }

    @Test func aStoppedNodeAnswersThoseWhoWait() async throws {
        let engine = MemoryEngine()
        let store = try RecordStore(
            engine: engine, group: KeyspaceID.default.group, keyspace: .default)
        let remover = Remover(
            stores: [store.group: store], engine: engine, metrics: NodeMetrics()
        ) { _ in }
        // Nothing was compacted through 9, so that this one waits for ever.
        async let waiting = withCheckedContinuation { continuation in
            remover.whenRemoved(in: store.group, through: Revision(9)) {
                continuation.resume(returning: $0)
            }
        }
        let thread = DedicatedThread(name: "removal") { remover.run() }
        try await Task.sleep(for: .milliseconds(50))
        remover.close()
        thread.join()
        #expect(await waiting.error == .outcomeUnknown)
    }

    /// "A test proves that keyspace fhir survives compact and del "" --from-key": the requests that
    /// `etcdctl` sends, with the metadata that chooses the keyspace.
    @Test func keyspaceFhirSurvivesCompactAndDeleteOfEverything() async throws {
        try await TestCluster.with(nodes: 1) { cluster in
            let client = try cluster.client(keyspace: "fhir")
            for value in UInt8(1)...3 { _ = try await client.put(Array("p".utf8), [value]) }
            _ = try await client.delete(.all)
            let node = try #require(cluster.running["n1"]?.node)
            _ = try await node.submit(.compact(through: Revision(5)), to: .fhir).get()
            try await removed(node, .fhir, through: 5)
            #expect(try await client.get(.all).count == 0)
            let versions = try await node.read(.fhir) { reader throws(RecordReadFailure) in
                try reader.history(of: Array("p".utf8), limit: 9)
            }.get()
            #expect(versions.map(\.modRevision.rawValue) == [5, 4, 3, 2])
            #expect(versions.map(\.kind)[0] == .deletion)
            await client.close()
        }
    }

    /// 24 MB of versions that compress badly, all but one hidden: the tables shrink without another
    /// write and without a command.
    @Test func spaceComesBackByItself() async throws {
        let directory = temporaryPath()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let engine = try RocksDBEngine.open(directory: directory)
        let store = try RecordStore(
            engine: engine, group: KeyspaceID.default.group, keyspace: .default)
        var generator = SeededGenerator(seed: 3)
        print("seed 3")
        var index: UInt64 = 0
        func apply(_ body: Command.Body) throws {
            index += 1
            let id = ProposalID(node: NodeID(1), incarnation: 1, sequence: index)
            let entry = LogEntry(
                term: Term(1), index: LogIndex(index),
                timestamp: HybridTimestamp(microseconds: index),
                payload: .command(Command(id: id, body: body).encode()))
            for applied in try store.apply([entry]) { _ = try applied.outcome?.result.get() }
        }
        for _ in 0..<3_000 {
            let value = (0..<1_000).flatMap { _ in
                withUnsafeBytes(of: generator.next(), Array.init)
            }
            try apply(.operation(.put(PutRequest(key: [7], value: value))))
        }
        try engine.flush()
        let before = engine.diskBytes
        #expect(before > 20_000_000)
        try apply(.compact(through: store.revision))
        let remover = Remover(
            stores: [store.group: store], engine: engine, metrics: NodeMetrics()
        ) { Issue.record("\($0)") }
        let thread = DedicatedThread(name: "removal") { remover.run() }
        let deadline = ContinuousClock.now + .seconds(60)
        while engine.diskBytes > before / 10, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(50))
        }
        print("\(before) bytes before, \(engine.diskBytes) after")
        #expect(engine.diskBytes <= before / 10)
        remover.close()
        thread.join()
        try engine.close()
    }

    private func removed(_ node: Node, _ keyspace: KeyspaceID, through: Int64) async throws {
        try await withCheckedContinuation { continuation in
            node.remover.whenRemoved(in: keyspace.group, through: Revision(through)) {
                continuation.resume(returning: $0)
            }
        }.get()
    }

    /// Superseded versions and deletions of the keyspace that are stored.
    private func historyRows(_ node: Node, _ keyspace: KeyspaceID) throws -> Int {
        var lower: Bytes = [Table.history.rawValue]
        lower += withUnsafeBytes(of: keyspace.rawValue.bigEndian, Array.init)
        let iterator = try node.engine.makeReadView().makeIterator(
            lower: lower, upper: lower.prefixSuccessor)
        var count = 0
        iterator.seek(to: lower)
        while iterator.isValid {
            count += 1
            iterator.next()
        }
        try iterator.checkStatus()
        return count
    }
}

extension Result {
    fileprivate var error: Failure? {
        guard case .failure(let error) = self else { return nil }
        return error
    }
}
