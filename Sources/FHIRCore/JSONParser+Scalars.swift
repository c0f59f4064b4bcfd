extension JSONParser {
    /// `-`? int frac? exp? (RFC 8259 section 6), kept as written.
    mutating func parseNumber() throws(JSONParseError) -> String {
        let start = position
        if byte() == UInt8(ascii: "-") { position += 1 }
        if byte() == UInt8(ascii: "0") {
            position += 1
        } else if skipDigits() == 0 {
            throw failure(.invalidNumber, at: start)
        }
        if byte() == UInt8(ascii: ".") {
            position += 1
            if skipDigits() == 0 { throw failure(.invalidNumber, at: start) }
        }
        if let exponent = byte(), exponent | 0x20 == UInt8(ascii: "e") {
            position += 1
            if let sign = byte(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
                position += 1
            }
            if skipDigits() == 0 { throw failure(.invalidNumber, at: start) }
        }
        if let next = byte(), isDigit(next) { throw failure(.invalidNumber, at: start) }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private func byte() -> UInt8? { position < bytes.count ? bytes[position] : nil }

    private func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }

    private mutating func skipDigits() -> Int {
        let start = position
        while let next = byte(), isDigit(next) { position += 1 }
        return position - start
    }

    /// At the opening quote. Most strings hold no escape and are copied once, as they stand.
    mutating func parseString() throws(JSONParseError) -> String {
        position += 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                let text = try validated(bytes[start..<position], from: start)
                position += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try parseEscapedString(from: start) }
            if byte < 0x20 { throw failure(.controlCharacter(byte)) }
            position += 1
        }
        throw failure(.unexpectedEnd)
    }

    private func validated(
        _ slice: Slice<UnsafeBufferPointer<UInt8>>, from start: Int
    ) throws(JSONParseError) -> String {
        if let text = String(validating: slice, as: UTF8.self) { return text }
        throw failure(.invalidUTF8, at: start + UTF8Scan.validPrefix(of: slice))
    }

    /// At the first backslash of a string that began at `start`.
    private mutating func parseEscapedString(
        from start: Int
    ) throws(JSONParseError) -> String {
        scratch.removeAll(keepingCapacity: true)
        var plainStart = start
        while position < bytes.count {
            let byte = bytes[position]
            if byte < 0x20 { throw failure(.controlCharacter(byte)) }
            guard byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else {
                position += 1
                continue
            }
            // The runs between escapes are validated each by itself: an escape cannot complete
            // a sequence of bytes that is cut off before it.
            let plain = bytes[plainStart..<position]
            let valid = UTF8Scan.validPrefix(of: plain)
            if valid < plain.count { throw failure(.invalidUTF8, at: plainStart + valid) }
            scratch.append(contentsOf: plain)
            if byte == UInt8(ascii: "\"") {
                position += 1
                return String(decoding: scratch, as: UTF8.self)
            }
            try parseEscape()
            plainStart = position
        }
        throw failure(.unexpectedEnd)
    }

    private mutating func parseEscape() throws(JSONParseError) {
        let start = position
        guard position + 1 < bytes.count else { throw failure(.unexpectedEnd, at: bytes.count) }
        let kind = bytes[position + 1]
        position += 2
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scratch.append(kind)
        case UInt8(ascii: "b"): scratch.append(0x08)
        case UInt8(ascii: "f"): scratch.append(0x0C)
        case UInt8(ascii: "n"): scratch.append(0x0A)
        case UInt8(ascii: "r"): scratch.append(0x0D)
        case UInt8(ascii: "t"): scratch.append(0x09)
        case UInt8(ascii: "u"): try parseUnicodeEscape(start: start)
        default: throw failure(.invalidEscape, at: start)
        }
    }

    private mutating func parseUnicodeEscape(start: Int) throws(JSONParseError) {
        var code = UInt32(try parseHexadecimal(start: start))
        switch code {
        case 0xD800...0xDBFF:
            guard position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
                bytes[position + 1] == UInt8(ascii: "u")
            else { throw failure(.loneSurrogate, at: start) }
            position += 2
            let low = UInt32(try parseHexadecimal(start: start))
            guard (0xDC00...0xDFFF).contains(low) else {
                throw failure(.loneSurrogate, at: start)
            }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        case 0xDC00...0xDFFF: throw failure(.loneSurrogate, at: start)
        default: break
        }
        guard let scalar = Unicode.Scalar(code) else {
            preconditionFailure("scalar \(code) from a surrogate pair")
        }
        scratch.append(contentsOf: UTF8.encode(scalar).unsafelyUnwrapped)
    }

    private mutating func parseHexadecimal(start: Int) throws(JSONParseError) -> UInt16 {
        guard position + 4 <= bytes.count else { throw failure(.invalidEscape, at: start) }
        var code: UInt16 = 0
        for _ in 0..<4 {
            let digit = bytes[position]
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = digit - UInt8(ascii: "A") + 10
            default: throw failure(.invalidEscape, at: start)
            }
            code = code << 4 | UInt16(value)
            position += 1
        }
        return code
    }
}

/// Where bytes stop being UTF-8 (Unicode 15, table 3-7: shortest forms, no surrogates).
enum UTF8Scan {
    static func validPrefix(of bytes: some Collection<UInt8>) -> Int {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var count = 0
        while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): count += UTF8.width(scalar)
            case .emptyInput, .error: return count
            }
        }
    }
}
