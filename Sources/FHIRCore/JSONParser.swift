/// Why bytes are not a JSON text that is taken here, and where.
package struct JSONParseError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Reason: Equatable, Sendable {
        case unexpectedEnd
        case unexpectedByte(UInt8)
        case trailingBytes
        case invalidLiteral
        case invalidNumber
        case invalidEscape
        /// A `\u` escape of half a surrogate pair stands for no character.
        case loneSurrogate
        case controlCharacter(UInt8)
        case invalidUTF8
        /// RFC 8259 leaves two members of one name open; no reading of them is without loss.
        case duplicateName
        case tooDeep(limit: Int)
    }

    package var reason: Reason
    /// Bytes before the first byte that does not fit.
    package var offset: Int

    package init(reason: Reason, offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    /// Names no content of the text: it may be a patient's.
    package var description: String {
        let what =
            switch reason {
            case .unexpectedEnd: "the text ends inside a value"
            case .unexpectedByte(let byte): "unexpected byte 0x" + hexadecimal(byte)
            case .trailingBytes: "more text after the end of the value"
            case .invalidLiteral: "neither true, false nor null"
            case .invalidNumber: "not a JSON number"
            case .invalidEscape: "not a JSON escape sequence"
            case .loneSurrogate: "half of a surrogate pair"
            case .controlCharacter(let byte):
                "control character 0x" + hexadecimal(byte) + " in a string"
            case .invalidUTF8: "not UTF-8"
            case .duplicateName: "a second member of the same name"
            case .tooDeep(let limit): "nested deeper than \(limit) levels"
            }
        return "\(what) at byte \(offset)"
    }

    private func hexadecimal(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }
}

/// A strict parser of one JSON text (RFC 8259): UTF-8 without a byte order mark, nothing after the
/// value.
package struct JSONParser {
    /// Objects and arrays inside one another. Real resources stay below 30.
    package static let depthMax = 100
    /// Objects of up to this many members are searched for a duplicate name one by one.
    static let linearMembersMax = 16

    let bytes: UnsafeBufferPointer<UInt8>
    var position = 0
    /// Unescaped text of the string being read, kept for its capacity.
    var scratch: [UInt8] = []

    package static func parse(
        _ bytes: some Collection<UInt8>
    ) throws(JSONParseError) -> JSONValue {
        let parsed = bytes.withContiguousStorageIfAvailable { buffer in
            var parser = JSONParser(bytes: buffer)
            return Result { () throws(JSONParseError) in try parser.parseText() }
        }
        if let parsed { return try parsed.get() }
        return try parse(Array(bytes))
    }

    private init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    private mutating func parseText() throws(JSONParseError) -> JSONValue {
        skipWhitespace()
        let value = try parseValue(depth: 0)
        skipWhitespace()
        if position < bytes.count { throw failure(.trailingBytes) }
        return value
    }

    func failure(_ reason: JSONParseError.Reason, at offset: Int? = nil) -> JSONParseError {
        JSONParseError(reason: reason, offset: offset ?? position)
    }

    func unexpected() -> JSONParseError {
        if position < bytes.count { return failure(.unexpectedByte(bytes[position])) }
        return failure(.unexpectedEnd)
    }

    mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private mutating func parseValue(depth: Int) throws(JSONParseError) -> JSONValue {
        guard position < bytes.count else { throw failure(.unexpectedEnd) }
        switch bytes[position] {
        case UInt8(ascii: "{"): return .object(try parseObject(depth: depth + 1))
        case UInt8(ascii: "["): return .array(try parseArray(depth: depth + 1))
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return .number(try parseNumber())
        case UInt8(ascii: "t"): return try parseLiteral("true", .bool(true))
        case UInt8(ascii: "f"): return try parseLiteral("false", .bool(false))
        case UInt8(ascii: "n"): return try parseLiteral("null", .null)
        default: throw unexpected()
        }
    }

    private mutating func parseLiteral(
        _ text: StaticString, _ value: JSONValue
    ) throws(JSONParseError) -> JSONValue {
        let end = position + text.utf8CodeUnitCount
        guard end <= bytes.count else { throw failure(.invalidLiteral) }
        for i in 0..<text.utf8CodeUnitCount where bytes[position + i] != text.utf8Start[i] {
            throw failure(.invalidLiteral)
        }
        position = end
        return value
    }

    private mutating func parseArray(depth: Int) throws(JSONParseError) -> [JSONValue] {
        if depth > Self.depthMax { throw failure(.tooDeep(limit: Self.depthMax)) }
        position += 1
        var values: [JSONValue] = []
        skipWhitespace()
        if take(UInt8(ascii: "]")) { return values }
        while true {
            skipWhitespace()
            values.append(try parseValue(depth: depth))
            skipWhitespace()
            if take(UInt8(ascii: "]")) { return values }
            if !take(UInt8(ascii: ",")) { throw unexpected() }
        }
    }

    private mutating func parseObject(depth: Int) throws(JSONParseError) -> JSONObject {
        if depth > Self.depthMax { throw failure(.tooDeep(limit: Self.depthMax)) }
        position += 1
        var members: [JSONObject.Member] = []
        var names: Set<String> = []
        skipWhitespace()
        if take(UInt8(ascii: "}")) { return JSONObject(members) }
        while true {
            skipWhitespace()
            let nameOffset = position
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw unexpected()
            }
            let name = try parseString()
            if isDuplicate(name, of: members, &names) {
                throw failure(.duplicateName, at: nameOffset)
            }
            skipWhitespace()
            if !take(UInt8(ascii: ":")) { throw unexpected() }
            skipWhitespace()
            members.append(JSONObject.Member(name, try parseValue(depth: depth)))
            skipWhitespace()
            if take(UInt8(ascii: "}")) { return JSONObject(members) }
            if !take(UInt8(ascii: ",")) { throw unexpected() }
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    /// Linear for the few members of most objects; a set beyond, whose canonical equivalence only
    /// asks for a second look.
    private func isDuplicate(
        _ name: String, of members: [JSONObject.Member], _ names: inout Set<String>
    ) -> Bool {
        if members.count < Self.linearMembersMax {
            return members.contains { sameScalars($0.name, name) }
        }
        if names.isEmpty { names.formUnion(members.map(\.name)) }
        if names.insert(name).inserted { return false }
        return members.contains { sameScalars($0.name, name) }
    }
}
