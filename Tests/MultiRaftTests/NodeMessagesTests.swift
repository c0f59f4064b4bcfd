import Consensus
import MultiRaft
import Primitives
import Testing

@Suite struct NodeMessagesTests {
    private static func append(_ bytes: Int) -> RaftMessage {
        let entry = LogEntry(
            term: Term(1), index: LogIndex(1), timestamp: .zero,
            payload: .command([UInt8](repeating: 7, count: bytes)))
        return RaftMessage(
            group: GroupID(1), from: ReplicaID(1), to: ReplicaID(2), term: Term(1),
            kind: .appendRequest(
                AppendRequest(
                    previousIndex: .zero, previousTerm: .zero, entries: [entry], commitIndex: .zero)
            ))
    }

    private static func forward(_ id: UInt64, _ bytes: Int) -> ForwardedProposals {
        ForwardedProposals(
            id: id, group: GroupID(1), term: Term(1), sequences: [id],
            commands: [[UInt8](repeating: 1, count: bytes)])
    }

    @Test func urgentPartHoldsWhatCarriesNothingLarge() {
        var batch = NodeMessages(incarnation: 3)
        batch.alive = NodeHeartbeat(wantsAnswer: true)
        batch.append(
            RaftMessage(
                group: GroupID(1), from: ReplicaID(1), to: ReplicaID(2), term: Term(1),
                kind: .heartbeatResponse(round: 4)))
        batch.append(Self.append(10))
        batch.append(
            RaftMessage(
                group: GroupID(1), from: ReplicaID(1), to: ReplicaID(2), term: Term(1),
                kind: .staleTerm))
        batch.forwards = [Self.forward(1, 5)]
        let (urgent, bulk) = batch.parts()
        #expect(urgent?.isBulk == false)
        #expect(urgent?.messages.map(\.kind) == [.staleTerm])
        #expect(urgent?.heartbeatAnswers.count == 1)
        #expect(urgent?.alive == batch.alive)
        #expect(bulk.count == 1)
        #expect(bulk[0].messages == [Self.append(10)])
        #expect(bulk[0].forwards == batch.forwards)
        #expect(bulk[0].incarnation == 3)
    }

    @Test func bulkIsCutAtTheTargetAndKeepsItsOrder() {
        var batch = NodeMessages(incarnation: 1)
        for bytes in [400, 400, 5_000, 10] { batch.append(Self.append(bytes)) }
        batch.forwards = [Self.forward(1, 600), Self.forward(2, 600)]
        let (urgent, bulk) = batch.parts(bulkBytesTarget: 1_000)
        #expect(urgent == nil)
        #expect(bulk.flatMap(\.messages) == batch.messages)
        #expect(bulk.flatMap(\.forwards) == batch.forwards)
        #expect(bulk.map { $0.messages.count + $0.forwards.count } == [2, 1, 2, 1])
    }
}
