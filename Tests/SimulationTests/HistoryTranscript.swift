import Primitives
import RecordModel
import Simulation

/// Histories as transcripts: one event a line, `CLIENT → REQUEST` or `CLIENT ← ANSWER`, in real
/// time. Each line is a moment.
struct Transcript {
    struct Event {
        var client: Int
        var isAnswer: Bool
        var text: Substring
    }

    let events: [Event]

    init(_ text: String) {
        events = text.split(separator: "\n").map { line in
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count == 3, let client = Int(words[0]), ["→", "←"].contains(words[1])
            else { fatalError("not an event: \(line)") }
            return Event(client: client, isAnswer: words[1] == "←", text: words[2])
        }
    }

    /// Answers `unknown` and `refused` are the same everywhere.
    func history<Request, Answer>(
        request: (Substring) -> Request, answer: (Substring) -> Answer
    ) -> History<Request, Answer> {
        var history = History<Request, Answer>()
        var open: [Int: OperationID] = [:]
        for (moment, event) in events.enumerated() {
            let moment = UInt64(moment)
            guard event.isAnswer else {
                open[event.client] = history.invoke(
                    HistoryClient(event.client), request(event.text), at: moment)
                continue
            }
            guard let id = open.removeValue(forKey: event.client) else {
                fatalError("client \(event.client) has asked nothing")
            }
            switch event.text {
            case "unknown": history.complete(id, .unknown, at: moment)
            case "refused": history.complete(id, .refused, at: moment)
            default: history.complete(id, .answered(answer(event.text)), at: moment)
            }
        }
        return history
    }

    /// `get x`, `put x a`, `cas x a b` (absent for no value, @3 for a revision), `delete x`, and
    /// `absent`, `a` or `a @3`, `ok` or `ok @3`, `no`, `deleted @3`, `nothing`.
    var keyHistory: KeyHistory { history(request: Self.keyRequest, answer: Self.keyAnswer) }

    private static func keyRequest(_ text: Substring) -> KeyRequest {
        let words = text.split(separator: " ")
        let action: KeyRequest.Action
        switch (words[0], words.count) {
        case ("get", 2): action = .read
        case ("delete", 2): action = .delete
        case ("put", 3): action = .put(bytes(words[2]))
        case ("cas", 4):
            let condition: KeyRequest.Condition
            if words[2] == "absent" {
                condition = .value(nil)
            } else if words[2].hasPrefix("@") {
                condition = .modRevision(revision(words[2]))
            } else {
                condition = .value(bytes(words[2]))
            }
            action = .compareAndPut(condition, bytes(words[3]))
        default: fatalError("not a request: \(text)")
        }
        return KeyRequest(group: GroupID(1), key: bytes(words[1]), action)
    }

    private static func keyAnswer(_ text: Substring) -> KeyAnswer {
        let words = text.split(separator: " ")
        let told = words.count > 1 ? revision(words[1]) : nil
        switch words[0] {
        case "absent": return .absent
        case "ok": return .written(revision: told)
        case "no": return .conditionFailed
        case "deleted": return .deleted(existed: true, revision: told)
        case "nothing": return .deleted(existed: false, revision: nil)
        default: return .present(bytes(words[0]), modRevision: told)
        }
    }

    static func bytes(_ text: some StringProtocol) -> Bytes { Bytes(text.utf8) }

    /// `@3`
    static func revision(_ text: some StringProtocol) -> Revision {
        guard text.hasPrefix("@"), let number = Int64(text.dropFirst()) else {
            fatalError("not a revision: \(text)")
        }
        return Revision(number)
    }
}

/// Whether a checker should find an order.
struct HistoryCase: CustomStringConvertible {
    var name: String
    var isGood: Bool
    var transcript: String

    static func good(_ name: String, _ transcript: String) -> Self {
        Self(name: name, isGood: true, transcript: transcript)
    }

    static func bad(_ name: String, _ transcript: String) -> Self {
        Self(name: name, isGood: false, transcript: transcript)
    }

    var description: String { name }
}

extension HistoryVerdict {
    var isViolation: Bool {
        if case .violation = self { return true }
        return false
    }
}
