import COpenSSL
import Primitives

/// A SHA-256 digest (FIPS 180-4).
package struct SHA256Digest: Hashable, Sendable, CustomStringConvertible {
    /// 32 bytes.
    package let bytes: Bytes

    /// Hashes through libcrypto's EVP interface.
    ///
    /// - Throws: `cryptography` when libcrypto has no SHA-256 to give, as with a provider that
    ///   does not load.
    package init(of content: some Collection<UInt8>) throws(ArchiveError) {
        var digest = Bytes(repeating: 0, count: 32)
        var length: UInt32 = 0
        func hash(_ raw: UnsafeRawBufferPointer) -> Int32 {
            EVP_Digest(raw.baseAddress, raw.count, &digest, &length, EVP_sha256(), nil)
        }
        let done =
            content.withContiguousStorageIfAvailable { hash(UnsafeRawBufferPointer($0)) }
            ?? Array(content).withUnsafeBytes { hash($0) }
        guard done == 1, length == 32 else {
            throw .cryptography(operation: "SHA-256", reason: Self.lastError())
        }
        bytes = digest
    }

    /// - Parameter hex: exactly 64 lower-case hexadecimal digits; nil for anything else.
    package init?(hex: String) {
        guard let bytes = Hex.decode(hex), bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// 64 lower-case hexadecimal digits.
    package var description: String { Hex.encode(bytes) }

    private static func lastError() -> String {
        let code = ERR_get_error()
        guard code != 0 else { return "no reason given" }
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(code, &text, text.count)
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// Lower-case hexadecimal, the only spelling that the format has.
enum Hex {
    private static let digits = Array("0123456789abcdef".utf8)

    static func encode(_ bytes: some Collection<UInt8>) -> String {
        var text = Bytes()
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 0xF)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// nil when a digit is missing, or is not one of `0-9a-f`.
    static func decode(_ text: String) -> Bytes? {
        var bytes = Bytes()
        bytes.reserveCapacity(text.utf8.count / 2)
        var high: UInt8?
        for character in text.utf8 {
            let digit: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = character - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = character - UInt8(ascii: "a") + 10
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return high == nil ? bytes : nil
    }
}
