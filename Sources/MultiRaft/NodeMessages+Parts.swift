import Consensus
import Primitives

// A batch leaves in parts: what carries entries or commands may take a second on a narrow line, and
// heartbeats, votes and answers must not wait behind it.
extension NodeMessages {
    /// Bytes of entries or commands in one bulky part; a single larger message goes alone.
    package static let bulkBytesTarget = 4 << 20

    /// It carries entries or commands, and may be large.
    package var isBulk: Bool {
        !forwards.isEmpty || messages.contains { $0.entryBytes > 0 }
    }

    /// What is urgent, and what is bulky in parts of bounded size; each in the order in which it
    /// was said. Raft bears the two overtaking each other.
    package func parts(
        bulkBytesTarget: Int = bulkBytesTarget
    ) -> (urgent: NodeMessages?, bulk: [NodeMessages]) {
        var urgent = self
        urgent.messages = []
        urgent.forwards = []
        let empty = NodeMessages(incarnation: incarnation)
        var bulk: [NodeMessages] = []
        var part = empty
        var partBytes = 0
        func make(room bytes: Int) {
            if partBytes > 0, partBytes + bytes > bulkBytesTarget {
                bulk.append(part)
                part = empty
                partBytes = 0
            }
            partBytes += bytes
        }
        for message in messages {
            let bytes = message.entryBytes
            if bytes == 0 {
                urgent.messages.append(message)
            } else {
                make(room: bytes)
                part.messages.append(message)
            }
        }
        for forward in forwards {
            make(room: forward.commands.reduce(1) { $0 + $1.count })
            part.forwards.append(forward)
        }
        if !part.isEmpty { bulk.append(part) }
        return (urgent.isEmpty ? nil : urgent, bulk)
    }
}

extension RaftMessage {
    /// Bytes of the entries it carries, roughly as encoded; 0 without any.
    package var entryBytes: Int {
        switch kind {
        case .appendRequest(let request): request.entries.reduce(0) { $0 + 48 + $1.payloadBytes }
        case .entriesFound(let entries): entries.reduce(0) { $0 + 48 + $1.payloadBytes }
        default: 0
        }
    }
}
