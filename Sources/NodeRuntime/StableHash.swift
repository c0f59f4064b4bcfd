/// 64 bits of a text, the same on every machine and in every version: cluster and member ids are
/// made from it, so that nodes started with the same flags agree on them without talking.
struct StableHash {
    private var state: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func add(_ text: String) {
        for byte in text.utf8 { mix(byte) }
        // A separator that no UTF-8 text holds, so that ("a", "bc") differs from ("ab", "c").
        mix(0xFF)
    }

    private mutating func mix(_ byte: UInt8) {
        // FNV-1a (Fowler, Noll, Vo), 64 bits.
        state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
    }

    /// Never 0: etcd's API uses 0 for "none".
    var value: UInt64 {
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        z ^= z >> 31
        return z == 0 ? 1 : z
    }
}
