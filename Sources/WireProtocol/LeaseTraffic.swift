import Primitives
import RecordModel

/// What nodes ask each other about leases: only the leader of a group knows what is left of one.
/// Any part may be lost or repeated; whoever asked asks again.
package struct LeaseTraffic: Hashable, Sendable {
    package var questions: [LeaseQuestion] = []
    package var replies: [LeaseReply] = []

    package init() {}

    package var isEmpty: Bool { questions.isEmpty && replies.isEmpty }
}

package struct LeaseQuestion: Hashable, Sendable {
    package enum Kind: UInt8, Sendable {
        case keepAlive = 1
        case timeToLive = 2
    }
    /// Names the question at its sender, over its restarts.
    package var id: UInt64
    package var group: GroupID
    package var lease: LeaseID
    package var kind: Kind

    package init(id: UInt64, group: GroupID, lease: LeaseID, kind: Kind) {
        self.id = id
        self.group = group
        self.lease = lease
        self.kind = kind
    }
}

package struct LeaseReply: Hashable, Sendable {
    package enum Outcome: Hashable, Sendable {
        case renewed(seconds: Int64)
        case left(seconds: Int64, granted: Int64)
        case notFound
        /// Not done: ask the leader.
        case notLeader
    }
    package var id: UInt64
    package var outcome: Outcome

    package init(id: UInt64, outcome: Outcome) {
        self.id = id
        self.outcome = outcome
    }
}

/// docs/formats/peer-protocol.md, "Leases".
extension LeaseTraffic {
    var estimatedBytes: Int { 8 + 21 * questions.count + 25 * replies.count }

    func encode(into writer: inout ByteWriter) {
        writer.writeVarint(UInt64(questions.count))
        for question in questions {
            writer.write(question.id)
            writer.write(question.group.rawValue)
            writer.write(UInt64(bitPattern: question.lease.rawValue))
            writer.write(question.kind.rawValue)
        }
        writer.writeVarint(UInt64(replies.count))
        for reply in replies { reply.encode(into: &writer) }
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        for _ in 0..<(try reader.readCount("questions")) {
            let id: UInt64 = try reader.read("question")
            let group = GroupID(try reader.read("group"))
            let lease = LeaseID(Int64(bitPattern: try reader.read(UInt64.self, "lease")))
            let at = reader.offset
            guard let kind = LeaseQuestion.Kind(rawValue: try reader.read("kind")) else {
                throw .invalid(field: "kind", offset: at)
            }
            questions.append(LeaseQuestion(id: id, group: group, lease: lease, kind: kind))
        }
        for _ in 0..<(try reader.readCount("replies")) {
            replies.append(try LeaseReply(from: &reader))
        }
    }
}

extension LeaseReply {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.write(id)
        switch outcome {
        case .renewed(let seconds):
            writer.write(UInt8(1))
            writer.write(UInt64(bitPattern: seconds))
        case .left(let seconds, let granted):
            writer.write(UInt8(2))
            writer.write(UInt64(bitPattern: seconds))
            writer.write(UInt64(bitPattern: granted))
        case .notFound: writer.write(UInt8(3))
        case .notLeader: writer.write(UInt8(4))
        }
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingFailure) {
        let id: UInt64 = try reader.read("reply")
        let at = reader.offset
        let outcome: Outcome
        switch try reader.read(UInt8.self, "outcome") {
        case 1: outcome = .renewed(seconds: try reader.readSeconds())
        case 2:
            outcome = .left(seconds: try reader.readSeconds(), granted: try reader.readSeconds())
        case 3: outcome = .notFound
        case 4: outcome = .notLeader
        default: throw .invalid(field: "outcome", offset: at)
        }
        self.init(id: id, outcome: outcome)
    }
}

extension ByteReader {
    fileprivate mutating func readSeconds() throws(DecodingFailure) -> Int64 {
        let at = offset
        let seconds = Int64(bitPattern: try read(UInt64.self, "seconds"))
        guard 0...Lease.secondsMax ~= seconds else { throw .invalid(field: "seconds", offset: at) }
        return seconds
    }
}
