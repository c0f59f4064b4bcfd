/// A name and value of a URL's query or of a form, decoded.
struct QueryItem: Hashable, Sendable {
    var name: String
    var value: String
}

/// A path and query as they stand in a request target or in a bundle entry's `request.url`.
struct RequestTarget {
    var path: [String]
    var query: [QueryItem]

    init(_ text: String) throws(FHIRFailure) {
        let mark = text.firstIndex(of: "?") ?? text.endIndex
        path = []
        for segment in text[..<mark].split(separator: "/", omittingEmptySubsequences: false) {
            path.append(try PercentCoding.decode(segment, plusIsSpace: false))
        }
        query = mark == text.endIndex ? [] : try Self.items(text[text.index(after: mark)...])
    }

    /// `a=1&b=2` (application/x-www-form-urlencoded). Parts without a name are dropped.
    static func items(_ text: some StringProtocol) throws(FHIRFailure) -> [QueryItem] {
        var items: [QueryItem] = []
        for part in text.split(separator: "&") {
            let equals = part.firstIndex(of: "=") ?? part.endIndex
            let name = try PercentCoding.decode(part[..<equals], plusIsSpace: true)
            if name.isEmpty { continue }
            let value = equals == part.endIndex ? "" : part[part.index(after: equals)...]
            items.append(
                QueryItem(
                    name: name, value: try PercentCoding.decode(value, plusIsSpace: true)))
        }
        return items
    }
}

/// RFC 3986 section 2.1.
enum PercentCoding {
    static func decode(
        _ text: some StringProtocol, plusIsSpace: Bool
    ) throws(FHIRFailure) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "+") && plusIsSpace {
                bytes.append(0x20)
            } else if byte == UInt8(ascii: "%") {
                guard let high = rest.popFirst().flatMap(hexadecimal),
                    let low = rest.popFirst().flatMap(hexadecimal)
                else { throw FHIRFailure(400, .value, "A % in the URL without two hex digits") }
                bytes.append(high << 4 | low)
            } else {
                bytes.append(byte)
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw FHIRFailure(400, .value, "The URL does not decode to UTF-8")
        }
        return text
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// For a query: all but RFC 3986's unreserved characters and `, :` is escaped.
    static func encode(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: ","), UInt8(ascii: ":"):
                bytes.append(byte)
            default:
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func encode(_ items: [QueryItem]) -> String {
        items.map { encode($0.name) + "=" + encode($0.value) }.joined(separator: "&")
    }
}
