import Primitives
import RecordModel
import Simulation

/// Requests: `get x`, `get x..z`, `get x at 3`, `sget x` (serializable), `put x a`, `del x`,
/// `del x..z`, `txn x@2, y=b, z#1 ? put x a; get y : del z` (conditions on mod revision, value and
/// version).
///
/// Answers end in the revision of their header: `{x=a@2, y=b@3:2:2} @3` (mod, then create and
/// version where they are not mod and 1), `put @3`, `deleted 1 @3`, `then put; {} @3`,
/// `else @3`.
extension Transcript {
    var storeHistory: StoreHistory {
        history(request: Self.storeRequest, answer: Self.storeReply)
    }

    private static func storeRequest(_ text: Substring) -> StoreRequest {
        if text.hasPrefix("sget") {
            return StoreRequest(operation(text.dropFirst()), isSerializable: true)
        }
        guard text.hasPrefix("txn ") else { return StoreRequest(operation(text)) }
        let halves = text.dropFirst(4).split(separator: "?", omittingEmptySubsequences: false)
        let lists = halves[1].split(separator: ":", omittingEmptySubsequences: false)
        return StoreRequest(
            .txn(
                compares: parts(halves[0], ",").map(compare),
                then: parts(lists[0], ";").map(operation),
                otherwise: parts(lists[1], ";").map(operation)))
    }

    private static func operation(_ text: Substring) -> StoreOperation {
        let words = text.split(separator: " ")
        switch (words[0], words.count) {
        case ("get", 2): return .range(range(words[1]))
        case ("get", 4): return .range(range(words[1]), at: Revision(Int64(words[3])!))
        case ("put", 3): return .put(key: bytes(words[1]), value: bytes(words[2]))
        case ("del", 2): return .delete(range(words[1]))
        default: fatalError("not an operation: \(text)")
        }
    }

    private static func range(_ text: Substring) -> KeyRange {
        let ends = text.split(separator: ".")
        guard ends.count == 2 else { return .key(bytes(text)) }
        return KeyRange(lower: bytes(ends[0]), end: .before(bytes(ends[1])))
    }

    private static func compare(_ text: Substring) -> Compare {
        guard let sign = text.firstIndex(where: { "@=#".contains($0) }) else {
            fatalError("not a condition: \(text)")
        }
        let wanted = text[text.index(after: sign)...]
        let target: Compare.Target =
            switch text[sign] {
            case "@": .modRevision(Revision(Int64(wanted)!))
            case "#": .version(Int64(wanted)!)
            default: .value(bytes(wanted))
            }
        return Compare(range: .key(bytes(text[..<sign])), relation: .equal, target: target)
    }

    private static func storeReply(_ text: Substring) -> StoreReply {
        guard let header = text.split(separator: " ").last, header.hasPrefix("@") else {
            fatalError("no header revision: \(text)")
        }
        let body = trimmed(text.dropLast(header.count))
        let told = revision(header)
        for (word, succeeded) in [("then", true), ("else", false)] where body.hasPrefix(word) {
            let answers = parts(body.dropFirst(word.count), ";").map(answer)
            return StoreReply(.txn(succeeded: succeeded, answers), revision: told)
        }
        return StoreReply(answer(body), revision: told)
    }

    private static func answer(_ text: Substring) -> StoreAnswer {
        if text == "put" { return .put(previous: nil) }
        if text.hasPrefix("deleted ") {
            return .delete(count: Int(text.dropFirst(8))!, previous: [])
        }
        guard text.hasPrefix("{"), text.hasSuffix("}") else { fatalError("no answer: \(text)") }
        let records = parts(text.dropFirst().dropLast(), ",").map(record)
        return .range(records, count: records.count)
    }

    /// `x=a@2` or `x=a@MOD:CREATE:VERSION`
    private static func record(_ text: Substring) -> StoreRecord {
        let halves = text.split(separator: "@")
        let pair = halves[0].split(separator: "=")
        let numbers = halves[1].split(separator: ":").map { Int64($0)! }
        return StoreRecord(
            key: bytes(pair[0]), value: bytes(pair[1]),
            createRevision: Revision(numbers.count > 1 ? numbers[1] : numbers[0]),
            modRevision: Revision(numbers[0]), version: numbers.count > 2 ? numbers[2] : 1)
    }

    private static func parts(_ text: Substring, _ separator: Character) -> [Substring] {
        text.split(separator: separator).map(trimmed).filter { !$0.isEmpty }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        return text
    }
}
