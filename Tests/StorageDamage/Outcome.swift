/// What became of a damaged directory. A case has one outcome of each step that it reached.
enum Outcome: Hashable, Comparable {
    /// All that was read was right, and writes went on.
    case unharmed
    case refusesToOpen(String)
    /// A read by key failed.
    case readFails(String)
    /// An iterator ended with an error.
    case iteratorFails(String)
    /// A commit or a flush failed, the first or one after a merge of tables.
    case writeFails(String)
    /// After the writes it could not be opened again.
    case refusesToReopen(String)
    /// Everything that was read is a state from before the last flush, and nothing said so.
    case olderState
    /// Keys are missing, old or back, and nothing said so.
    case wrongState
    /// After the writes something was wrong that was right before.
    case wrongAfterWrites
    case processEnded(String)

    var text: String {
        switch self {
        case .unharmed: "unharmed"
        case .refusesToOpen(let kind): "refuses to open: \(kind)"
        case .readFails(let kind): "a read fails: \(kind)"
        case .iteratorFails(let kind): "an iterator fails: \(kind)"
        case .writeFails(let kind): "a write fails: \(kind)"
        case .refusesToReopen(let kind): "refuses to open after writes: \(kind)"
        case .olderState: "**silent: older state**"
        case .wrongState: "**silent: wrong state**"
        case .wrongAfterWrites: "**silent: wrong after writes**"
        case .processEnded(let how): "**process ended: \(how)**"
        }
    }
}

extension Outcome {
    /// - Parameters:
    ///   - lines: what the probe reported of one case.
    ///   - states: the contents after each flush; the last is right.
    static func outcomes(of lines: [String], states: [String]) -> Set<Outcome> {
        var outcomes: Set<Outcome> = []
        var isFinished = false
        var contents: [String] = []
        for line in lines {
            let words = line.split(separator: " ").map(String.init)
            guard words.count > 1 else {
                isFinished = isFinished || line == "end"
                continue
            }
            switch words[0] {
            case "open" where words[1] != "ok": outcomes.insert(.refusesToOpen(words[1]))
            case "reopen" where words[1] != "ok": outcomes.insert(.refusesToReopen(words[1]))
            case "write" where words[1] != "ok": outcomes.insert(.writeFails(words[1]))
            case "persisted", "get":
                for (letter, kind) in [("C", "corruption"), ("I", "inputOutput"), ("X", "other")]
                where words[1].contains(letter) {
                    outcomes.insert(.readFails(kind))
                }
                contents.append(words[1])
            case "forward", "backward", "again":
                if words[2] != "ok" { outcomes.insert(.iteratorFails(words[2])) }
                if words[3] != "0" { outcomes.insert(.wrongState) }
                if words[0] != "again" {
                    contents.append(words[1])
                } else if !outcomes.contains(.wrongState), !outcomes.contains(.olderState),
                    !agrees(words[1], states.last)
                {
                    outcomes.insert(.wrongAfterWrites)
                }
            case "ended": outcomes.insert(.processEnded(words.dropFirst().joined(separator: " ")))
            default: break
            }
            if words[0] == "backward", let wrong = verdict(on: contents, states) {
                outcomes.insert(wrong)
            }
        }
        if outcomes.isEmpty { outcomes.insert(isFinished ? .unharmed : .processEnded("no report")) }
        return outcomes
    }

    private static func verdict(on contents: [String], _ states: [String]) -> Outcome? {
        if contents.allSatisfy({ agrees($0, states.last) }) { return nil }
        let older = states.dropLast().contains { state in
            contents.allSatisfy { agrees($0, state) }
        }
        return older ? .olderState : .wrongState
    }

    /// Whether what was read is right. What failed, or was not reached, says nothing.
    private static func agrees(_ read: String, _ state: String?) -> Bool {
        guard let state, read.count == state.count else { return false }
        return zip(read.utf8, state.utf8).allSatisfy { read, right in
            read == right || [UInt8]("CIX-".utf8).contains(read)
        }
    }
}
