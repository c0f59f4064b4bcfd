/// A hybrid logical clock reading (Kulkarni et al., "Logical Physical Clocks", 2014), stamped on
/// every entry by its leader and above every stamp in that leader's log. `apply` uses it instead
/// of a clock.
package struct HybridTimestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Microseconds since 1970-01-01T00:00:00Z.
    package var microseconds: UInt64
    /// Orders stamps of the same microsecond.
    package var logical: UInt32

    package init(microseconds: UInt64, logical: UInt32 = 0) {
        self.microseconds = microseconds
        self.logical = logical
    }

    package static let zero = HybridTimestamp(microseconds: 0)

    package static func < (a: Self, b: Self) -> Bool {
        (a.microseconds, a.logical) < (b.microseconds, b.logical)
    }

    /// The smallest stamp that is above this one and not below the given wall clock.
    ///
    /// - Parameter wallClock: microseconds since 1970, as this node's clock reads now.
    package func next(wallClock: UInt64) -> HybridTimestamp {
        if wallClock > microseconds { return HybridTimestamp(microseconds: wallClock) }
        if logical == .max { return HybridTimestamp(microseconds: microseconds + 1) }
        return HybridTimestamp(microseconds: microseconds, logical: logical + 1)
    }

    package var description: String { "\(microseconds).\(logical)" }
}
