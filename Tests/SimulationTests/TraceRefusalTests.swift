import Simulation
import Testing

/// A trace in which one thing is not as it was: the model must refuse it, and it must refuse it there.
@Suite struct TraceRefusalTests {
    struct Lie: CustomTestStringConvertible, Sendable {
        var testDescription: String
        /// The first line that can be made to lie.
        var place: @Sendable (TraceLine.Event) -> Bool
        var tell: @Sendable (inout [TraceLine], Int) -> Void
    }

    static let lies: [Lie] = [
        Lie(
            testDescription: "a vote that was never given",
            place: { $0.name == "SendAppendEntriesRequest" },
            tell: { lines, at in
                let other = lines[at].event.conf[0].first { $0 != lines[at].event.nid }!
                lines[at].event.state.vote = other
            }),
        Lie(
            testDescription: "a refusal that is taken for a vote, or a vote for a refusal",
            place: { $0.name == "ReceiveRequestVoteResponse" && $0.msg!.from != $0.msg!.to },
            tell: { lines, at in lines[at].event.msg!.reject.toggle() }),
        Lie(
            testDescription: "a leader without the vote that made it one",
            place: { $0.name == "ReceiveRequestVoteResponse" && $0.msg!.from != $0.msg!.to },
            tell: { lines, at in lines.remove(at: at) }),
        Lie(
            testDescription: "votes asked for before the own vote is durable",
            place: { $0.name == "Ready" && $0.role == "StateCandidate" },
            tell: { lines, at in lines.remove(at: at) }),
        Lie(
            testDescription: "a commit index that is too high",
            place: { $0.name == "Commit" },
            tell: { lines, at in lines[at].event.state.commit += 1 }),
        Lie(
            testDescription: "a commit before the acknowledgement that allows it",
            place: { $0.name == "Commit" },
            tell: { lines, at in lines.swapAt(at, at - 1) }),
        Lie(
            testDescription: "an acknowledgement of more than was sent",
            place: { $0.msg?.type == "MsgAppResp" && $0.name.hasPrefix("Receive") },
            tell: { lines, at in lines[at].event.msg!.index += 1 }),
        Lie(
            testDescription: "a message received twice",
            place: { $0.name == "ReceiveAppendEntriesRequest" },
            tell: { lines, at in lines.insert(lines[at], at: at + 1) }),
        Lie(
            testDescription: "an entry that nobody sent",
            place: { $0.name == "ReceiveAppendEntriesRequest" && $0.msg!.entries > 0 },
            tell: { lines, at in lines[at].event.msg!.entries += 1 }),
        Lie(
            testDescription: "a heartbeat that tells of more than was acknowledged",
            place: { $0.name == "SendAppendEntriesRequest" && $0.msg!.type == "MsgHeartbeat" },
            tell: { lines, at in lines[at].event.msg!.commit += 1 }),
        Lie(
            testDescription: "a term that rises by itself",
            place: { $0.name == "BecomeCandidate" },
            tell: { lines, at in lines[at].event.state.term += 1 }),
        Lie(
            testDescription: "a restart that forgets",
            place: { $0.name == "InitState" && $0.log > 0 },
            tell: { lines, at in lines[at].event.log -= 1 }),
        Lie(
            testDescription: "a step down without a reason",
            place: { $0.name == "Ready" && $0.role == "StateFollower" },
            tell: { lines, at in lines[at].event.name = "BecomeFollower" }),
    ]

    /// A run with restarts in it.
    static let seed: UInt64 = 3
    static let traces = TraceTests.reports.first { $0.seed == seed }!.report.groupTraces

    @Test("The model refuses", arguments: lies)
    func theModelRefuses(_ lie: Lie) throws {
        print("seed \(Self.seed)")
        var told = 0
        for trace in Self.traces {
            var lines = try TraceLine.read(trace.lines)
            guard let at = lines.firstIndex(where: { lie.place($0.event) }) else { continue }
            lie.tell(&lines, at)
            told += 1
            #expect(throws: TraceModel.Refusal.self) { try TraceModel.follow(lines) }
        }
        #expect(told > 0, "there was nothing to lie about")
    }

    @Test(
        "The schema refuses",
        arguments: [
            ("\"term\":", "\"Term\":"), ("\"tag\":\"trace\",", ""), ("StateFollower", "Follower"),
            ("\"log\":0", "\"log\":-1"), ("\"log\":0", "\"log\":\"0\""), ("InitState", "Start"),
            ("\"commit\":0", "\"commit\":1"), ("\"conf\"", "\"applied\":0,\"conf\""),
        ])
    func theSchemaRefuses(_ part: String, _ other: String) throws {
        let schema = try TraceSchema()
        let line = Self.traces[0].lines[0]
        try schema.check(line)
        let parts = line.split(separator: part, omittingEmptySubsequences: false)
        #expect(parts.count > 1)
        #expect(throws: (any Error).self) { try schema.check(parts.joined(separator: other)) }
    }
}
