/// The resource types that FHIR R4 4.0.1 defines.
package enum ResourceType {
    /// In alphabetical order.
    package static let all: [String] = ResourceTypeTable.text.split(whereSeparator: \.isWhitespace)
        .map(String.init)

    private static let names = Set(all)

    package static func exists(_ name: some StringProtocol) -> Bool {
        names.contains(String(name))
    }
}

/// A resource's logical id: 1 to 64 of `A-Z a-z 0-9 - .` (FHIR R4 "Data Types", id).
package enum ResourceID {
    package static let charactersMax = 64

    package static func isValid(_ id: some StringProtocol) -> Bool {
        let utf8 = id.utf8
        guard utf8.count >= 1, utf8.count <= charactersMax else { return false }
        return utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }
    }
}
