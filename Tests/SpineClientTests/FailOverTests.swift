import RPC
import SpineClient
import Testing
import WireProtocol

/// What the client does when an endpoint does not answer as it should: reads go on, writes only
/// while it is certain that they were not done.
@Suite struct FailOverTests {
    private static let timedOut = RPCStatus(.unavailable, "etcdserver: request timed out")
    private static let noLeader = RPCStatus(.unavailable, "etcdserver: no leader")
    private static let tooMany = RPCStatus(.resourceExhausted, "etcdserver: too many requests")

    @Test func aDeadEndpointIsPassedOver() async throws {
        let dead = ScriptedServer([])
        try await dead.start()
        await dead.stop()
        let alive = ScriptedServer([.put(revision: 7)])
        try await alive.start()
        let client = try SpineClient(endpoints: [dead.endpoint, alive.endpoint])
        let revision7 = try await client.put([1], [1]).revision
        #expect(revision7 == 7)
        await client.close()
        await alive.stop()
    }

    @Test func theEndpointThatAnsweredIsAskedFirstNextTime() async throws {
        try await ScriptedServer.with(
            [.status(Self.noLeader)], [.put(revision: 2), .put(revision: 3)]
        ) { client, servers in
            let revision2 = try await client.put([1], [1]).revision
            #expect(revision2 == 2)
            let revision3 = try await client.put([1], [1]).revision
            #expect(revision3 == 3)
            #expect(servers[0].calls.count == 1)
        }
    }

    @Test(arguments: [noLeader, tooMany])
    func aWriteThatWasCertainlyNotDoneIsTriedElsewhere(status: RPCStatus) async throws {
        try await ScriptedServer.with([.status(status)], [.put(revision: 2)]) { client, _ in
            let revision2 = try await client.put([1], [1]).revision
            #expect(revision2 == 2)
        }
    }

    @Test(arguments: [
        timedOut, RPCStatus(.unavailable, "etcdserver: server stopped"),
        RPCStatus(.unavailable, "transport is closing"), RPCStatus(.deadlineExceeded),
        RPCStatus(.internalError, "?"), RPCStatus(.unknown), RPCStatus(.cancelled),
        RPCStatus(.dataLoss),
    ])
    func aWriteOfUnknownOutcomeIsNamedAndNeverSentAgain(status: RPCStatus) async throws {
        try await ScriptedServer.with(
            [.status(status)], [.put(revision: 2)]
        ) { client, servers in
            do throws(SpineError) {
                _ = try await client.put([1], [1])
                Issue.record("a put of unknown outcome succeeded")
            } catch {
                #expect(error.code == .outcomeUnknown, "\(error)")
                #expect(error.endpoint == servers[0].endpoint)
            }
            #expect(servers[0].calls.count == 1)
            #expect(servers[1].calls.isEmpty)
        }
    }

    @Test func aWriteWhoseConnectionBreaksIsOfUnknownOutcome() async throws {
        try await ScriptedServer.with([.hangUp], [.put(revision: 2)]) { client, servers in
            do throws(SpineError) {
                _ = try await client.put([1], [1])
                Issue.record("a put without an answer succeeded")
            } catch {
                #expect(error.code == .outcomeUnknown, "\(error)")
            }
            #expect(servers[1].calls.isEmpty)
        }
    }

    @Test(arguments: [timedOut, RPCStatus(.dataLoss), RPCStatus(.internalError, "?")])
    func aReadIsTriedElsewhere(status: RPCStatus) async throws {
        try await ScriptedServer.with(
            [.status(status)], [.range(revision: 9)]
        ) { client, _ in
            let revision9 = try await client.get(.key("k")).revision
            #expect(revision9 == 9)
        }
    }

    @Test func aTransactionThatOnlyReadsIsARead() async throws {
        let reads = Transaction(then: [.get(.key("k"))])
        let writes = Transaction(then: [.get(.key("k")), .put(key: [1], value: [1])])
        try await ScriptedServer.with(
            [.status(Self.timedOut)], [.status(Self.timedOut)]
        ) { client, servers in
            do throws(SpineError) {
                _ = try await client.transaction(reads)
                Issue.record("answered by nobody")
            } catch {
                #expect(error.code == .unavailable)
            }
            #expect(servers[1].calls.count == 1)
        }
        try await ScriptedServer.with(
            [.status(Self.timedOut)], [.status(Self.timedOut)]
        ) { client, servers in
            do throws(SpineError) {
                _ = try await client.transaction(writes)
                Issue.record("answered by nobody")
            } catch {
                #expect(error.code == .outcomeUnknown)
            }
            #expect(servers[1].calls.isEmpty)
        }
    }

    @Test func aRefusalIsTheServersOwnWordAndEndsTheCall() async throws {
        let compacted = RPCStatus(
            .outOfRange, "etcdserver: mvcc: required revision has been compacted")
        try await ScriptedServer.with(
            [.status(compacted)], [.range(revision: 1)]
        ) { client, servers in
            do throws(SpineError) {
                _ = try await client.get(.all)
                Issue.record("a refused read succeeded")
            } catch {
                #expect(error.code == .refused)
                #expect(error.message == compacted.message)
                #expect(error.grpcStatus == 11)
            }
            #expect(servers[1].calls.isEmpty)
        }
    }

    @Test func badEndpointsSayWhatTheyShouldBe() {
        for text in ["", "host", "host:", ":1", "host:0", "host:65536", "host:x", "https://h:1"] {
            #expect(throws: SpineError.self, "\(text)") { try SpineClient(endpoints: [text]) }
        }
        #expect(throws: SpineError.self) { try SpineClient(endpoints: []) }
        #expect(throws: SpineError.self) {
            try SpineClient(endpoints: ["h:1"], keyspace: "two words")
        }
    }
}
