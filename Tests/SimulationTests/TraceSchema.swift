import Foundation

/// What `docs/formats/trace.md` promises of each line, read from that page: page and files cannot
/// part.
struct TraceSchema {
    struct Breach: Error, CustomStringConvertible { var description: String }

    /// Type by path.
    private(set) var always: [String: String] = [:]
    private(set) var withMessage: [String: String] = [:]
    /// Types of messages by event; none where it has no message.
    private(set) var events: [String: [String]] = [:]

    init() throws {
        let here = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        let root = here.deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(
            contentsOf: root.appendingPathComponent("docs/formats/trace.md"), encoding: .utf8)
        for line in page.split(separator: "\n") where line.hasPrefix("| `") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            let words = Self.quoted(cells[0])
            guard let name = words.first else { continue }
            if name == "tag" || name == "ts" || name.hasPrefix("event.") {
                if name.hasPrefix("event.msg.") {
                    withMessage[name] = cells[1]
                } else {
                    always[name] = cells[1]
                }
            } else if name.first!.isUppercase && cells.count >= 3 {
                events[name] = Self.quoted(cells[1])
            }
        }
        guard always.count == 10, withMessage.count == 11, events.count == 15 else {
            throw Breach(
                description: "the page has \(always.count), \(withMessage.count) and "
                    + "\(events.count) rows")
        }
    }

    private static func quoted(_ cell: String) -> [String] {
        cell.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    func check(_ line: String) throws {
        var found: [String: String] = [:]
        try Self.flatten(JSONSerialization.jsonObject(with: Data(line.utf8)), "", into: &found)
        let event = try TraceLine.read([line])[0].event
        guard let messages = events[event.name] else {
            throw Breach(description: "no such event: \(line)")
        }
        guard messages.isEmpty == (event.msg == nil),
            event.msg.map({ messages.contains($0.type) }) ?? true
        else { throw Breach(description: "\(event.name) with another message: \(line)") }
        let wanted = always.merging(event.msg == nil ? [:] : withMessage) { a, _ in a }
        guard found == wanted else {
            let odd = Set(found.map { "\($0)" }).symmetricDifference(wanted.map { "\($0)" })
            throw Breach(description: "\(odd.sorted()) in \(line)")
        }
        guard ["StateFollower", "StateCandidate", "StateLeader"].contains(event.role),
            event.conf.count == 2, event.conf[1].isEmpty, event.conf[0].contains(event.nid),
            event.state.vote == "0" || event.conf[0].contains(event.state.vote),
            event.state.commit <= event.log
        else { throw Breach(description: "values out of range: \(line)") }
    }

    private static func flatten(
        _ value: Any, _ path: String, into found: inout [String: String]
    ) throws {
        switch value {
        case let object as [String: Any]:
            for (name, inner) in object {
                try flatten(inner, path.isEmpty ? name : "\(path).\(name)", into: &found)
            }
        case is [[String]]: found[path] = "lists"
        case is String: found[path] = "string"
        case let number as NSNumber:
            // Foundation bridges true and false to numbers.
            let isBool = String(cString: number.objCType) == "c"
            guard isBool || number.int64Value >= 0 && number.stringValue.allSatisfy(\.isNumber)
            else { throw Breach(description: "\(path) is \(number)") }
            found[path] = isBool ? "bool" : "number"
        default: throw Breach(description: "\(path) is \(value)")
        }
    }
}
