/// A name and value under which a resource is found (docs/fhir.md, "Search terms").
package struct SearchTerm: Hashable, Sendable {
    package var name: [UInt8]
    package var value: [UInt8]
    package init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }
}

/// Terms that satisfy a part of a search.
package struct SearchTermMatch: Hashable, Sendable {
    package enum Values: Hashable, Sendable {
        case exact([UInt8])
        case prefix([UInt8])
        /// Half-open; nil is unbounded on that side.
        case range(from: [UInt8]?, to: [UInt8]?)
    }

    package var name: [UInt8]
    package var values: Values
    package init(name: [UInt8], values: Values) {
        self.name = name
        self.values = values
    }
}

/// Names and values of terms, the same for what is written and what is looked for.
package enum SearchTermLayout {
    /// A token's system and value together. More is refused when written: two that agree in the
    /// bytes kept would be found for one another.
    package static let tokenBytesMax = 1_024
    /// Folded or exact text of a string term. What is beyond is neither kept nor compared.
    package static let stringBytesMax = 256

    static func name(_ type: String, _ code: String, _ suffix: String = "") -> [UInt8] {
        Array("\(type).\(code)\(suffix)".utf8)
    }

    /// The term that every resource carries, by its id.
    static func idName(_ type: String) -> [UInt8] { name(type, "_id") }

    /// `Type.code`: the token's value, whatever its system.
    static func tokenName(_ type: String, _ code: String) -> [UInt8] { name(type, code) }

    /// `Type.code|`: system (empty for none), 0x00, value.
    static func systemTokenName(_ type: String, _ code: String) -> [UInt8] {
        name(type, code, "|")
    }

    static func systemToken(_ system: String, _ value: String) -> [UInt8] {
        Array(system.utf8) + [0] + Array(value.utf8)
    }

    static func stringName(_ type: String, _ code: String) -> [UInt8] { name(type, code) }
    static func exactName(_ type: String, _ code: String) -> [UInt8] { name(type, code, ":exact") }

    static func folded(_ text: some StringProtocol) -> [UInt8] {
        Array(StringFolding.fold(text).prefix(stringBytesMax))
    }

    static func exact(_ text: some StringProtocol) -> [UInt8] {
        Array(text.utf8.prefix(stringBytesMax))
    }

    /// `Type.code`: the interval's start, then its end.
    static func dateName(_ type: String, _ code: String) -> [UInt8] { name(type, code) }
    /// `Type.code:end`: the interval's end.
    static func dateEndName(_ type: String, _ code: String) -> [UInt8] { name(type, code, ":end") }

    /// Eight bytes, big-endian, the sign bit flipped: byte order is the order of time.
    static func time(_ microseconds: Int64) -> [UInt8] {
        let ordered = UInt64(bitPattern: microseconds) ^ (1 << 63)
        return (0..<8).map { UInt8(truncatingIfNeeded: ordered >> (56 - 8 * $0)) }
    }
}
