import Foundation

/// A line of a trace, read back.
struct TraceLine: Decodable {
    struct State: Decodable {
        var term: Int
        var vote: String
        var commit: Int
    }

    struct Message: Decodable {
        var type: String
        var term: Int
        var from: String
        var to: String
        var entries: Int
        var logTerm: Int
        var index: Int
        var commit: Int
        var vote: String
        var reject: Bool
        var rejectHint: Int
    }

    struct Event: Decodable {
        var name: String
        var nid: String
        var state: State
        var role: String
        var log: Int
        var conf: [[String]]
        var msg: Message?
    }

    var tag: String
    var ts: Int
    var event: Event

    static func read(_ lines: [String]) throws -> [TraceLine] {
        let decoder = JSONDecoder()
        return try lines.map { try decoder.decode(TraceLine.self, from: Data($0.utf8)) }
    }
}
