import NIOCore

/// Decides when a quiet connection is asked for a sign of life and when it is given up. A value:
/// time is an argument.
struct ConnectionLiveness {
    enum Action: Equatable {
        case nothing
        case sendPing
        case giveUp
    }

    private let interval: TimeAmount
    private let timeout: TimeAmount
    private var heardSinceLook = false
    private var lastHeard: NIODeadline
    private var pingSent: NIODeadline?

    init(interval: TimeAmount, timeout: TimeAmount, now: NIODeadline) {
        self.interval = interval
        self.timeout = timeout
        lastHeard = now
    }

    /// How often `look` should be called.
    var lookInterval: TimeAmount {
        .nanoseconds(max(min(interval, timeout).nanoseconds / 2, 1_000_000))
    }

    /// A frame came from the peer.
    mutating func heard() { heardSinceLook = true }

    mutating func look(now: NIODeadline) -> Action {
        if heardSinceLook {
            heardSinceLook = false
            lastHeard = now
            pingSent = nil
            return .nothing
        }
        if let pingSent {
            return now - pingSent >= timeout ? .giveUp : .nothing
        }
        guard now - lastHeard >= interval else { return .nothing }
        pingSent = now
        return .sendPing
    }
}

/// Notices that bytes wait for a client that takes none.
struct StallWatch {
    private let timeout: TimeAmount
    private var wroteSinceLook = false
    private var lastWrote: NIODeadline

    init(timeout: TimeAmount, now: NIODeadline) {
        self.timeout = timeout
        lastWrote = now
    }

    mutating func wrote() { wroteSinceLook = true }

    /// - Returns: whether bytes wait and none has left for the timeout.
    mutating func look(waiting: Bool, now: NIODeadline) -> Bool {
        if wroteSinceLook || !waiting {
            wroteSinceLook = false
            lastWrote = now
            return false
        }
        return now - lastWrote >= timeout
    }
}
