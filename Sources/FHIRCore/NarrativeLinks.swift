/// The links of a narrative: `href` of `<a>` and `src` of `<img>` in the XHTML of a `div`.
enum NarrativeLinks {
    /// The narrative with links replaced; nil when none was.
    ///
    /// - Parameter replacement: of an attribute's whole value; nil leaves it.
    static func rewrite(_ narrative: String, _ replacement: (String) -> String?) -> String? {
        let bytes = Array(narrative.utf8)
        var scan = Scan(bytes: bytes)
        var result: [UInt8] = []
        var copied = 0
        while let link = scan.nextLink() {
            let text = String(decoding: bytes[link], as: UTF8.self)
            guard let new = replacement(text) else { continue }
            result += bytes[copied..<link.lowerBound]
            result += Array(new.utf8)
            copied = link.upperBound
        }
        if copied == 0 { return nil }
        return String(decoding: result + bytes[copied...], as: UTF8.self)
    }

    private struct Scan {
        let bytes: [UInt8]
        var position = 0
        /// The attribute that is a link in the tag being read; nil between tags.
        var linkAttribute: [UInt8]?

        /// The bytes between the quotes of the next link.
        mutating func nextLink() -> Range<Int>? {
            while position < bytes.count {
                if let attribute = linkAttribute {
                    if let value = nextAttribute(attribute) { return value }
                } else {
                    skipToTag()
                }
            }
            return nil
        }

        /// To behind the name of the next `<a` or `<img`, over all other tags.
        private mutating func skipToTag() {
            while position < bytes.count, bytes[position] != UInt8(ascii: "<") { position += 1 }
            guard position < bytes.count else { return }
            position += 1
            if bytes[position...].starts(with: "!--".utf8) {
                skipComment()
                return
            }
            let name = readName()
            switch name {
            case Array("a".utf8): linkAttribute = Array("href".utf8)
            case Array("img".utf8): linkAttribute = Array("src".utf8)
            default: linkAttribute = []
            }
        }

        private mutating func skipComment() {
            while position < bytes.count, !bytes[position...].starts(with: "-->".utf8) {
                position += 1
            }
        }

        private mutating func readName() -> [UInt8] {
            let start = position
            while position < bytes.count, isNameByte(bytes[position]) { position += 1 }
            return Array(bytes[start..<position])
        }

        private func isNameByte(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ":"), UInt8(ascii: "-"),
                UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: byte >= 0x80
            }
        }

        /// Reads one attribute, or the tag's end. Gives the value's place when it is the link.
        private mutating func nextAttribute(_ wanted: [UInt8]) -> Range<Int>? {
            let byte = bytes[position]
            if byte == UInt8(ascii: ">") {
                linkAttribute = nil
                position += 1
                return nil
            }
            guard isNameByte(byte) else {
                position += 1
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") { skipPast(byte) }
                return nil
            }
            let name = readName()
            skipWhitespace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "=") else { return nil }
            position += 1
            skipWhitespace()
            guard position < bytes.count, bytes[position] == 0x22 || bytes[position] == 0x27
            else { return nil }
            let quote = bytes[position]
            let start = position + 1
            position = start
            skipPast(quote)
            guard name == wanted, position > start, bytes[position - 1] == quote else {
                return nil
            }
            return start..<position - 1
        }

        private mutating func skipPast(_ quote: UInt8) {
            while position < bytes.count, bytes[position] != quote { position += 1 }
            if position < bytes.count { position += 1 }
        }

        private mutating func skipWhitespace() {
            while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) {
                position += 1
            }
        }
    }
}
