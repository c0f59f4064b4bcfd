/// A set of small numbers. One word as long as they stay below 64, which is the usual case: slots
/// are given again once they are free.
struct SlotSet: Hashable {
    private var low: UInt64 = 0
    /// Words for slots from 64 on, without zeroes at the end, so that equal sets are equal values.
    private var high: [UInt64] = []

    var isEmpty: Bool { low == 0 && high.isEmpty }

    func contains(_ slot: Int) -> Bool {
        if slot < 64 { return low & (1 << UInt64(slot)) != 0 }
        let word = slot / 64 - 1
        return word < high.count && high[word] & (1 << UInt64(slot % 64)) != 0
    }

    mutating func insert(_ slot: Int) {
        if slot < 64 {
            low |= 1 << UInt64(slot)
            return
        }
        let word = slot / 64 - 1
        while high.count <= word { high.append(0) }
        high[word] |= 1 << UInt64(slot % 64)
    }

    mutating func remove(_ slot: Int) {
        if slot < 64 {
            low &= ~(1 << UInt64(slot))
            return
        }
        let word = slot / 64 - 1
        guard word < high.count else { return }
        high[word] &= ~(1 << UInt64(slot % 64))
        while high.last == 0 { high.removeLast() }
    }

    mutating func formUnion(_ other: SlotSet) {
        low |= other.low
        while high.count < other.high.count { high.append(0) }
        for word in other.high.indices { high[word] |= other.high[word] }
    }

    func isSubset(of other: SlotSet) -> Bool {
        guard low & ~other.low == 0, high.count <= other.high.count else { return false }
        return high.indices.allSatisfy { high[$0] & ~other.high[$0] == 0 }
    }

    func isDisjoint(with other: SlotSet) -> Bool {
        low & other.low == 0 && zip(high, other.high).allSatisfy { $0 & $1 == 0 }
    }

    /// The greatest, nil where there is none.
    var last: Int? {
        if let word = high.last { return high.count * 64 + 63 - word.leadingZeroBitCount }
        return low == 0 ? nil : 63 - low.leadingZeroBitCount
    }
}
