/// An operation's place in its history: the n-th that was invoked, from 0.
package struct OperationID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: Int
    package init(_ rawValue: Int) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { "#\(rawValue)" }
}

/// A sequential process of a workload: it has at most one operation under way.
package struct HistoryClient: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: Int
    package init(_ rawValue: Int) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { "client \(rawValue)" }
}

/// What clients asked and what they were told, in the order in which it happened: a history in the
/// sense of Herlihy and Wing ("Linearizability", TOPLAS 1990, section 2).
///
/// Real time is the order of the recorder's calls: an operation precedes another one when it was
/// completed by an earlier call than the one that invoked the other. A simulator performs one event
/// at a time, so that this order is exact where several events share one moment of virtual time.
/// The moments themselves are kept for explanations only.
///
/// Invariants:
/// 1. Moments never go back.
/// 2. An operation is completed at most once, after its invocation.
package struct History<Request: Sendable, Answer: Sendable>: Sendable {
    package enum Outcome: Sendable {
        /// Timed out, client or leader gone, or still under way: it may take effect at any later
        /// moment, once, or never.
        case unknown
        /// It took effect, once, between its invocation and this answer.
        case answered(Answer)
        /// It certainly took no effect, and never will.
        case refused
    }

    package struct Entry: Sendable {
        package let id: OperationID
        package let client: HistoryClient
        package let request: Request
        package let invokedAt: UInt64
        /// Position of the invocation among all calls of the recorder.
        package let invoked: Int
        package internal(set) var outcome = Outcome.unknown
        package internal(set) var completedAt: UInt64?
        /// Position of the completion among all calls of the recorder. An outcome that stays
        /// unknown has none.
        package internal(set) var completed: Int?
    }

    package private(set) var entries: [Entry] = []
    private var nextPosition = 0
    private var now: UInt64 = 0

    package init() {}

    /// - Parameter moment: virtual time, in the unit of the world that calls.
    package mutating func invoke(
        _ client: HistoryClient, _ request: Request, at moment: UInt64
    ) -> OperationID {
        let id = OperationID(entries.count)
        entries.append(
            Entry(
                id: id, client: client, request: request, invokedAt: moment,
                invoked: position(at: moment)))
        return id
    }

    /// An operation that is never completed, or completed as unknown, stays open for ever.
    package mutating func complete(_ id: OperationID, _ outcome: Outcome, at moment: UInt64) {
        precondition(id.rawValue < entries.count, "\(id) of \(entries.count) operations")
        precondition(
            entries[id.rawValue].completedAt == nil,
            "\(id) is completed a second time at \(moment)")
        let position = position(at: moment)
        entries[id.rawValue].outcome = outcome
        entries[id.rawValue].completedAt = moment
        switch outcome {
        case .unknown: break
        case .answered, .refused: entries[id.rawValue].completed = position
        }
    }

    private mutating func position(at moment: UInt64) -> Int {
        precondition(moment >= now, "virtual time went back from \(now) to \(moment)")
        now = moment
        defer { nextPosition += 1 }
        return nextPosition
    }
}
