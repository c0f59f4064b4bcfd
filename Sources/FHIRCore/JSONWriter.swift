/// How a JSON text is laid out. Values are the same either way.
package enum JSONLayout: Sendable {
    case compact
    /// Two spaces a level.
    case pretty
}

extension JSONValue {
    package func serialized(_ layout: JSONLayout = .compact) -> [UInt8] {
        var bytes: [UInt8] = []
        write(into: &bytes, layout)
        return bytes
    }

    /// Appends the text of this value (RFC 8259). Text outside ASCII is written as it is.
    package func write(
        into bytes: inout [UInt8], _ layout: JSONLayout = .compact, level: Int = 0
    ) {
        switch self {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(true): bytes.append(contentsOf: "true".utf8)
        case .bool(false): bytes.append(contentsOf: "false".utf8)
        case .number(let lexeme): bytes.append(contentsOf: lexeme.utf8)
        case .string(let text): Self.write(text, into: &bytes)
        case .array(let values):
            bytes.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                Self.newLine(into: &bytes, layout, level + 1)
                value.write(into: &bytes, layout, level: level + 1)
            }
            if !values.isEmpty { Self.newLine(into: &bytes, layout, level) }
            bytes.append(UInt8(ascii: "]"))
        case .object(let object):
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in object.members.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                Self.newLine(into: &bytes, layout, level + 1)
                Self.write(member.name, into: &bytes)
                bytes.append(UInt8(ascii: ":"))
                if layout == .pretty { bytes.append(UInt8(ascii: " ")) }
                member.value.write(into: &bytes, layout, level: level + 1)
            }
            if !object.members.isEmpty { Self.newLine(into: &bytes, layout, level) }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    private static func newLine(into bytes: inout [UInt8], _ layout: JSONLayout, _ level: Int) {
        guard layout == .pretty else { return }
        bytes.append(UInt8(ascii: "\n"))
        for _ in 0..<level { bytes.append(contentsOf: [0x20, 0x20]) }
    }

    private static func write(_ text: String, into bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        var copy = text
        copy.withUTF8 { utf8 in
            var plainStart = 0
            for at in utf8.indices {
                let byte = utf8[at]
                guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
                else { continue }
                bytes.append(contentsOf: utf8[plainStart..<at])
                writeEscape(of: byte, into: &bytes)
                plainStart = at + 1
            }
            bytes.append(contentsOf: utf8[plainStart...])
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func writeEscape(of byte: UInt8, into bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x08: bytes.append(UInt8(ascii: "b"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case 0x0A: bytes.append(UInt8(ascii: "n"))
        case 0x0C: bytes.append(UInt8(ascii: "f"))
        case 0x0D: bytes.append(UInt8(ascii: "r"))
        case 0..<0x20:
            bytes.append(contentsOf: "u00".utf8)
            let digits = Array("0123456789abcdef".utf8)
            bytes.append(digits[Int(byte >> 4)])
            bytes.append(digits[Int(byte & 0xF)])
        default: bytes.append(byte)
        }
    }
}
