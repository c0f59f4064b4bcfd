/// A reading of a node's monotonic clock, which neither jumps nor runs backwards while the node
/// runs, and counts on while it is suspended (`CLOCK_BOOTTIME`). Readings of two nodes, or of two
/// runs of one, are not comparable.
package struct MonotonicTime: Hashable, Comparable, Sendable {
    package var nanoseconds: UInt64
    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }
    package static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }
}
