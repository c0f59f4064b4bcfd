import Primitives

/// Proposals of one group on this node.
struct GroupProposals: Sendable {
    /// Of this node's clients, without an outcome yet.
    var pending: [UInt64: Pending] = [:]
    /// In no log for certain: not yet appended or forwarded, in the order in which they came.
    var held: [UInt64] = []
    /// Of other nodes' clients, to be appended at the end of this turn.
    var forwardedHere: [(forward: ForwardedProposals, origin: NodeID)] = []
    /// In this term nothing is forwarded before this tick: its leader could not be reached, or did
    /// not take it. Without a pause the two would send it to and fro.
    var forwardPause: (term: Term, untilTick: UInt64) = (.zero, 0)

    struct Pending: Sendable {
        let command: Bytes
        /// The term in which it was last appended or forwarded; nil: certainly not in any log.
        var sentTerm: Term?
    }
}

/// Linearizable reads of one group on this node.
struct GroupReads: Sendable {
    /// Not asked for yet.
    var new: [Waiter] = []
    /// Under way to their index, by the batch's token.
    var asked: [(token: UInt64, waiters: [Waiter])] = []
    /// Confirmed at an index that is not applied yet.
    var waitingForApply: [(index: LogIndex, waiters: [Waiter])] = []

    struct Waiter: Sendable {
        let token: UInt64
        let deadline: MonotonicTime
    }

    /// Takes those whose time is up.
    mutating func takeExpired(at now: MonotonicTime) -> [UInt64] {
        var expired: [UInt64] = []
        func expire(_ waiters: inout [Waiter]) {
            for waiter in waiters where waiter.deadline <= now { expired.append(waiter.token) }
            waiters.removeAll { $0.deadline <= now }
        }
        expire(&new)
        for i in asked.indices { expire(&asked[i].waiters) }
        for i in waitingForApply.indices { expire(&waitingForApply[i].waiters) }
        waitingForApply.removeAll { $0.waiters.isEmpty }
        return expired
    }

    /// Takes all of them, asked for or not.
    mutating func takeAll() -> [UInt64] {
        let all =
            new.map(\.token) + asked.flatMap { $0.waiters.map(\.token) }
            + waitingForApply.flatMap { $0.waiters.map(\.token) }
        new = []
        for i in asked.indices { asked[i].waiters = [] }
        waitingForApply = []
        return all
    }
}

/// Requests in the order in which they came. Where all are given the same time, it is that of their
/// deadlines too; one with a later deadline than those behind it makes them wait for it.
struct RequestDeadlines: Sendable {
    private var requests: [Request] = []
    private var head = 0

    struct Request: Sendable {
        let id: UInt64
        let group: GroupID
        let deadline: MonotonicTime
    }

    var first: Request? { head < requests.count ? requests[head] : nil }

    mutating func append(_ request: Request) { requests.append(request) }

    mutating func removeFirst() {
        head += 1
        if head > 4096 || head == requests.count {
            requests.removeFirst(head)
            head = 0
        }
    }
}
