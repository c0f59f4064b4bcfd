import Primitives

/// A contiguous set of keys, as etcd writes it with `key` and `range_end` (API reference, "Range").
package struct KeyRange: Hashable, Sendable {
    package enum End: Hashable, Sendable {
        /// Only the key itself: `range_end` empty.
        case single
        /// Up to, not including.
        case before(Bytes)
        /// Every key from the first on: `range_end` = `\0`.
        case unbounded
    }

    package var lower: Bytes
    package var end: End

    package init(lower: Bytes, end: End) {
        self.lower = lower
        self.end = end
    }

    package static func key(_ key: Bytes) -> KeyRange { KeyRange(lower: key, end: .single) }
    package static let everything = KeyRange(lower: [], end: .unbounded)

    /// All keys that start with the prefix.
    package static func prefix(_ prefix: Bytes) -> KeyRange {
        if let end = prefix.prefixSuccessor { return KeyRange(lower: prefix, end: .before(end)) }
        return KeyRange(lower: prefix, end: .unbounded)
    }

    /// etcd's pair. `key` = `\0` with `rangeEnd` = `\0` is every key.
    package init(key: Bytes, rangeEnd: Bytes) {
        lower = key
        if rangeEnd.isEmpty {
            end = .single
        } else if rangeEnd == [0] {
            end = .unbounded
            if key == [0] { lower = [] }
        } else {
            end = .before(rangeEnd)
        }
    }

    package func contains(_ key: Bytes) -> Bool {
        switch end {
        case .single: return key == lower
        case .before(let upper):
            return !key.lexicographicallyPrecedes(lower) && key.lexicographicallyPrecedes(upper)
        case .unbounded: return !key.lexicographicallyPrecedes(lower)
        }
    }
}

extension [UInt8] {
    /// The smallest byte string above every string with this prefix, or nil when there is none
    /// (empty, or all 0xFF).
    package var prefixSuccessor: [UInt8]? {
        var upper = self
        while let last = upper.last {
            if last < 0xFF {
                upper[upper.count - 1] = last + 1
                return upper
            }
            upper.removeLast()
        }
        return nil
    }
}
