import Primitives

/// Another node, as this one knows it.
struct PeerNode: Sendable {
    let node: NodeID
    /// The latest heard of; zero: none yet.
    var incarnation: UInt64 = 0
    /// The tick at which it was last heard.
    var lastHeard: UInt64 = 0
    var isHeard = false
    /// The shell was told that it is lost. Nodes that share only groups led elsewhere, all awake,
    /// have nothing to say to each other: that is no loss.
    var isReportedLost = false
    /// Sleeping groups here with a member there.
    var sleepers = 0
    /// The tick at which it last wanted this node's signs of life.
    var lastWanted: UInt64?
    var forwardsSeen = SeenForwards()

    init(_ node: NodeID, now: UInt64) {
        self.node = node
        lastHeard = now
    }
}

/// Which forwards of a node have been taken: one that the network repeats must not be appended twice.
///
/// Those `window` or more behind the newest count as taken: a forward that is overtaken by so many
/// is lost.
struct SeenForwards: Sendable {
    static let window: UInt64 = 1024
    private var newest: UInt64 = 0
    private var bits = [UInt64](repeating: 0, count: Int(window / 64))

    /// - Parameter id: above zero.
    /// - Returns: whether it is taken for the first time.
    mutating func take(_ id: UInt64) -> Bool {
        if id > newest {
            if id - newest >= Self.window {
                for i in bits.indices { bits[i] = 0 }
            } else {
                var skipped = newest + 1
                while skipped < id {
                    clear(skipped)
                    skipped += 1
                }
            }
            newest = id
            set(id)
            return true
        }
        guard newest - id < Self.window, !isSet(id) else { return false }
        set(id)
        return true
    }

    private func isSet(_ id: UInt64) -> Bool {
        bits[Int(id % Self.window / 64)] & (1 << (id % 64)) != 0
    }
    private mutating func set(_ id: UInt64) {
        bits[Int(id % Self.window / 64)] |= 1 << (id % 64)
    }
    private mutating func clear(_ id: UInt64) {
        bits[Int(id % Self.window / 64)] &= ~(1 << (id % 64))
    }
}
