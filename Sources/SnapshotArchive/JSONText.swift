import Primitives

/// JSON (RFC 8259) as far as the manifest needs it, and no further: integers only, no field twice
/// in an object, valid UTF-8, bounded nesting.
enum JSONText: Equatable {
    case object([Field])
    case array([JSONText])
    case string(String)
    /// Negative numbers and fractions do not occur in the format.
    case integer(UInt64)
    case null

    struct Field: Equatable {
        var name: String
        var value: JSONText
    }

    struct Problem: Error, Equatable {
        var reason: String
        /// In bytes, from 0.
        var offset: Int
    }

    static let depthMax = 16
    /// Values in one text: what a manifest of the largest size holds, and half as many again. A
    /// hostile text cannot take a hundred times its size in memory.
    static let valuesMax = 8_000_000

    // MARK: Writing

    /// Two spaces of indentation, fields in the order given, a newline at the end.
    var text: Bytes {
        var out = ""
        write(to: &out, indentation: 0)
        out += "\n"
        return Bytes(out.utf8)
    }

    private func write(to out: inout String, indentation: Int) {
        switch self {
        case .null: out += "null"
        case .integer(let value): out += String(value)
        case .string(let value): Self.write(value, to: &out)
        case .array(let values):
            Self.write(values, "[", "]", to: &out, indentation) { value, out in
                value.write(to: &out, indentation: indentation + 1)
            }
        case .object(let fields):
            Self.write(fields, "{", "}", to: &out, indentation) { field, out in
                Self.write(field.name, to: &out)
                out += ": "
                field.value.write(to: &out, indentation: indentation + 1)
            }
        }
    }

    private static func write<T>(
        _ items: [T], _ open: String, _ close: String, to out: inout String, _ indentation: Int,
        _ each: (T, inout String) -> Void
    ) {
        out += open
        for (position, item) in items.enumerated() {
            out += position == 0 ? "\n" : ",\n"
            out += String(repeating: "  ", count: indentation + 1)
            each(item, &out)
        }
        if !items.isEmpty { out += "\n" + String(repeating: "  ", count: indentation) }
        out += close
    }

    private static func write(_ string: String, to out: inout String) {
        out += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\u{0}"..<"\u{20}":
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        out += "\""
    }

    // MARK: Reading

    init(_ bytes: Bytes, valuesMax: Int = Self.valuesMax) throws(Problem) {
        var parser = JSONTextParser(bytes, valuesMax: valuesMax)
        self = try parser.document()
    }
}

/// Recursive descent over bytes. Every failure names the byte.
private struct JSONTextParser {
    private let bytes: Bytes
    private var position = 0
    private var valuesLeft: Int

    init(_ bytes: Bytes, valuesMax: Int) {
        self.bytes = bytes
        valuesLeft = valuesMax
    }

    mutating func document() throws(JSONText.Problem) -> JSONText {
        let value = try value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw problem("text after the end") }
        return value
    }

    private func problem(_ reason: String) -> JSONText.Problem {
        JSONText.Problem(reason: reason, offset: position)
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws(JSONText.Problem) -> JSONText {
        guard depth < JSONText.depthMax else { throw problem("nested too deeply") }
        guard valuesLeft > 0 else { throw problem("too many values") }
        valuesLeft -= 1
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return .object(try object(depth: depth))
        case UInt8(ascii: "["): return .array(try array(depth: depth))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "n"):
            guard bytes[position...].starts(with: "null".utf8) else { throw problem("not a value") }
            position += 4
            return .null
        case nil: throw problem("the text ends early")
        case .some(UInt8(ascii: "0")...UInt8(ascii: "9")): return .integer(try integer())
        default: throw problem("not a value of this format")
        }
    }

    private mutating func object(depth: Int) throws(JSONText.Problem) -> [JSONText.Field] {
        position += 1
        var fields: [JSONText.Field] = []
        skipSpace()
        if take("}") { return fields }
        repeat {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw problem("a field's name is missing") }
            let name = try string()
            guard !fields.contains(where: { $0.name == name }) else {
                throw problem("field \(name) is there twice")
            }
            // An object of this format has few fields, so that the search above stays short.
            guard fields.count < 32 else { throw problem("too many fields") }
            skipSpace()
            guard take(":") else { throw problem("':' is missing") }
            fields.append(JSONText.Field(name: name, value: try value(depth: depth + 1)))
            skipSpace()
        } while take(",")
        guard take("}") else { throw problem("'}' is missing") }
        return fields
    }

    private mutating func array(depth: Int) throws(JSONText.Problem) -> [JSONText] {
        position += 1
        var values: [JSONText] = []
        skipSpace()
        if take("]") { return values }
        repeat {
            values.append(try value(depth: depth + 1))
            skipSpace()
        } while take(",")
        guard take("]") else { throw problem("']' is missing") }
        return values
    }

    private mutating func integer() throws(JSONText.Problem) -> UInt64 {
        let start = position
        while let byte = next, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
            position += 1
        }
        if let byte = next, [0x2E, 0x45, 0x65].contains(byte) {
            throw problem("a number that is not an integer")
        }
        let digits = bytes[start..<position]
        if digits.count > 1, digits.first == UInt8(ascii: "0") {
            throw problem("a number with a leading zero")
        }
        guard let value = UInt64(String(decoding: digits, as: UTF8.self)) else {
            throw problem("a number beyond 64 bits")
        }
        return value
    }

    private mutating func string() throws(JSONText.Problem) -> String {
        position += 1
        var content = Bytes()
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: content, as: UTF8.self) else {
                    throw problem("a string that is not UTF-8")
                }
                return text
            case UInt8(ascii: "\\"): content.append(contentsOf: String(try escape()).utf8)
            case 0..<0x20: throw problem("a control character in a string")
            default: content.append(byte)
            }
        }
        throw problem("the text ends in a string")
    }

    /// After the backslash. Surrogate pairs are refused: no field of the format needs one.
    private mutating func escape() throws(JSONText.Problem) -> Unicode.Scalar {
        guard let kind = next else { throw problem("the text ends in a string") }
        position += 1
        switch kind {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let digits = bytes[position...].prefix(4)
            guard digits.count == 4,
                digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                let code = UInt32(String(decoding: digits, as: UTF8.self), radix: 16),
                let scalar = Unicode.Scalar(code)
            else { throw problem("an escape that is no character") }
            position += 4
            return scalar
        default: throw problem("an escape that JSON does not have")
        }
    }
}
