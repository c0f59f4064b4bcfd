import Primitives

/// Byte strings of any length inside a longer key, so that the order of the encodings is the order
/// of the strings and no encoding is the beginning of another: 0x00 is written as 0x00 0xFF, and
/// 0x00 0x01 ends the string. Costs two bytes, and one for each 0x00.
enum OrderedBytes {
    static let escape: UInt8 = 0x00
    static let escapedZero: UInt8 = 0xFF
    static let terminator: UInt8 = 0x01

    static func append(_ string: Bytes, to key: inout Bytes) {
        appendUnterminated(string, to: &key)
        key.append(escape)
        key.append(terminator)
    }

    /// What the encodings of all strings that begin with `prefix` begin with.
    static func appendUnterminated(_ prefix: Bytes, to key: inout Bytes) {
        guard prefix.contains(escape) else {
            key.append(contentsOf: prefix)
            return
        }
        for byte in prefix {
            key.append(byte)
            if byte == escape { key.append(escapedZero) }
        }
    }

    /// Reads one string from `offset` on and moves `offset` behind its end. nil where the bytes are
    /// no such encoding.
    static func read(_ key: Bytes, at offset: inout Int) -> Bytes? {
        guard let zero = key[offset...].firstIndex(of: escape), zero + 1 < key.count else {
            return nil
        }
        if key[zero + 1] == terminator {
            defer { offset = zero + 2 }
            return Bytes(key[offset..<zero])
        }
        var string: Bytes = []
        string.reserveCapacity(key.count - offset)
        var position = offset
        while position < key.count {
            let byte = key[position]
            position += 1
            if byte != escape {
                string.append(byte)
                continue
            }
            guard position < key.count else { return nil }
            switch key[position] {
            case escapedZero:
                string.append(escape)
                position += 1
            case terminator:
                offset = position + 1
                return string
            default: return nil
            }
        }
        return nil
    }
}
