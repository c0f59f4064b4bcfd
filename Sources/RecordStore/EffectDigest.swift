import Primitives

/// The chained digest of what entries did (DESIGN, decision 9): two replicas that applied the same
/// entries and differ in it have diverged. Each step is a bijection of the state for a given word,
/// so that a difference never vanishes by itself; it finds accidents, not forgery.
package struct EffectDigest: Hashable, Sendable, CustomStringConvertible {
    package private(set) var value: UInt64

    package init(value: UInt64 = 0) { self.value = value }

    mutating func add(_ word: UInt64) {
        value = (value ^ word) &* 0x9E37_79B9_7F4A_7C15
        value ^= value >> 32
    }

    /// The count, then the bytes as little-endian words, the last one filled up with zeroes.
    mutating func add(_ bytes: Bytes) {
        add(UInt64(bytes.count))
        var state = self
        bytes.withUnsafeBytes { raw in
            var offset = 0
            while offset + 8 <= raw.count {
                let word = raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                state.add(UInt64(littleEndian: word))
                offset += 8
            }
            if offset < raw.count {
                var word: UInt64 = 0
                for index in (offset..<raw.count).reversed() {
                    word = word << 8 | UInt64(raw[index])
                }
                state.add(word)
            }
        }
        self = state
    }

    /// 16 lower-case hexadecimal digits.
    package var description: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
