import Foundation
import Logging
import NIOPosix
import Primitives
import RecordModel
import SpineClient
import Testing

@testable import NodeRuntime

@Suite(.serialized) struct NodeTests {
    @Test func whatWasWrittenIsThereAfterARestart() async throws {
        try await TestCluster.with(nodes: 1) { cluster in
            let client = try cluster.client()
            _ = try await client.put(Array("k".utf8), Array("v1".utf8))
            _ = try await client.put(Array("k".utf8), Array("v2".utf8))
            await cluster.stop("n1")
            try await cluster.start("n1")
            let found = try await client.get(.key("k"))
            #expect(found.revision == 3)
            #expect(found.keyValues.map(\.value) == [Array("v2".utf8)])
            #expect(found.keyValues.map(\.version) == [2])
            await client.close()
        }
    }

    @Test func aLostLogOrStateIsRefusedNotBegunAnew() async throws {
        try await TestCluster.with(nodes: 1) { cluster in
            let client = try cluster.client()
            _ = try await client.put([1], [1])
            await client.close()
            for part in ["log", "state"] {
                await cluster.stop("n1")
                let place = "\(cluster.path)/n1/\(part)"
                try FileManager.default.moveItem(atPath: place, toPath: "\(cluster.path)/aside")
                await #expect(throws: ConfigurationError.self, "without \(part)") {
                    try await cluster.start("n1")
                }
                try? FileManager.default.removeItem(atPath: place)
                try FileManager.default.moveItem(atPath: "\(cluster.path)/aside", toPath: place)
                try await cluster.start("n1")
            }
        }
    }

    /// A member that lost its disk has forgotten its votes and what it acknowledged: it is told so by
    /// the first peer that remembers its directory, before it can vote.
    @Test func aMemberWithAnEmptyDiskIsStopped() async throws {
        try await TestCluster.with(nodes: 3) { cluster in
            let leader = try await cluster.leader()
            let client = try cluster.client(of: leader)
            _ = try await client.put([1], [1])
            let lost = cluster.names.first { $0 != leader } ?? ""
            await cluster.stop(lost)
            try FileManager.default.removeItem(atPath: "\(cluster.path)/\(lost)")
            let (reasons, continuation) = AsyncStream.makeStream(of: String.self)
            let limit = Task {
                try await Task.sleep(for: .seconds(30))
                continuation.yield("nobody stopped it within 30 seconds")
            }
            try await cluster.start(lost) { continuation.yield($0) }
            var iterator = reasons.makeAsyncIterator()
            let reason = await iterator.next() ?? ""
            limit.cancel()
            #expect(reason.contains("had another data directory"), "\(reason)")
            // The others go on without it.
            _ = try await client.put([2], [2])
            await client.close()
        }
    }

    @Test func everyNodeServesEveryRequest() async throws {
        try await TestCluster.with(nodes: 3) { cluster in
            _ = try await cluster.leader()
            for name in cluster.names {
                let client = try cluster.client(of: name)
                _ = try await client.put(Array(name.utf8), [1])
                for other in cluster.names {
                    let reader = try cluster.client(of: other)
                    let found = try await reader.get(.key(name))
                    #expect(found.count == 1, "\(other) does not see what \(name) acknowledged")
                    await reader.close()
                }
                await client.close()
            }
        }
    }

    /// A change of leader is a pause for clients of the other nodes: no write fails, and none is
    /// done twice (decision 0002).
    @Test func aChangeOfLeaderLosesAndRepeatsNothing() async throws {
        try await TestCluster.with(nodes: 3) { cluster in
            let leader = try await cluster.leader()
            let others = cluster.names.filter { $0 != leader }
            let writers = try others.map { try cluster.client(of: $0) }
            let writes = 150
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, client) in writers.enumerated() {
                    for lane in 0..<4 {
                        group.addTask {
                            for write in 0..<writes {
                                let key = "w/\(number)/\(lane)/\(write)"
                                _ = try await client.put(Array(key.utf8), [1])
                            }
                        }
                    }
                }
                // The writers cannot be done: they need some hundred rounds of the log.
                await cluster.stop(leader)
                try await group.waitForAll()
            }
            let found = try await writers[0].get(.prefix("w/"))
            #expect(found.count == Int64(writers.count * 4 * writes))
            #expect(found.keyValues.allSatisfy { $0.version == 1 }, "a write was done twice")
            #expect(found.revision == Int64(1 + writers.count * 4 * writes))
            for writer in writers { await writer.close() }
        }
    }

    @Test func aNodeThatWasAwayCatchesUp() async throws {
        try await TestCluster.with(nodes: 3) { cluster in
            let leader = try await cluster.leader()
            let away = cluster.names.first { $0 != leader } ?? ""
            await cluster.stop(away)
            let client = try cluster.client(of: leader)
            for number in 0..<200 {
                _ = try await client.put(
                    Array("k\(number)".utf8), [UInt8](repeating: 7, count: 999))
            }
            try await cluster.start(away)
            let late = try cluster.client(of: away)
            let found = try await late.get(.prefix("k"))
            #expect(found.count == 200)
            await late.close()
            await client.close()
        }
    }

    @Test func withoutAQuorumWritesEndAsNotDoneOrUnknown() async throws {
        try await TestCluster.with(nodes: 3) { cluster in
            let leader = try await cluster.leader()
            let client = try cluster.client(of: leader)
            _ = try await client.put([1], [1])
            for name in cluster.names where name != leader { await cluster.stop(name) }
            do throws(SpineError) {
                _ = try await client.put([1], [2])
                Issue.record("a write was acknowledged without a quorum")
            } catch {
                #expect(error.code == .outcomeUnknown || error.code == .unavailable, "\(error)")
            }
            do throws(SpineError) {
                _ = try await client.get(.key([1]))
                Issue.record("a linearizable read was answered without a quorum")
            } catch {
                #expect(error.code == .unavailable, "\(error)")
            }
            var stale = GetOptions()
            stale.serializable = true
            let found = try await client.get(.key([1]), stale)
            #expect(found.count == 1)
            await client.close()
        }
    }

    @Test func keyspacesAreApart() async throws {
        try await TestCluster.with(nodes: 1) { cluster in
            let plain = try cluster.client()
            let fhir = try cluster.client(keyspace: "fhir")
            let system = try cluster.client(keyspace: "system")
            let none = try cluster.client(keyspace: "nowhere")
            _ = try await plain.put([1], [1])
            #expect(try await fhir.get(.key([1])).count == 0)
            #expect(try await fhir.get(.all).revision == 1)
            await #expect(throws: SpineError.self) { try await system.put([1], [1]) }
            await #expect(throws: SpineError.self) { try await none.get(.all) }
            #expect(try await plain.get(.all).revision == 2)
            for client in [plain, fhir, system, none] { await client.close() }
        }
    }
}
