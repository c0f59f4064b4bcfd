import NIOCore
import NIOHPACK

/// What gRPC puts into HTTP/2 headers: constants, timeouts, statuses, percent-encoding
/// (grpc/grpc `doc/PROTOCOL-HTTP2.md`).
enum GRPCWire {
    /// Opens every answer that has a message. Built once: header blocks are a hot spot.
    static let responseHeaders: HPACKHeaders = [
        ":status": "200", "content-type": "application/grpc",
    ]
    static let okTrailers: HPACKHeaders = ["grpc-status": "0"]

    static func trailers(_ status: RPCStatus) -> HPACKHeaders {
        if status.code == .ok && status.message.isEmpty { return okTrailers }
        var headers = HPACKHeaders()
        appendStatus(status, to: &headers)
        return headers
    }

    /// A call that ends without a message: headers and trailers in one block.
    static func trailersOnly(_ status: RPCStatus) -> HPACKHeaders {
        var headers = responseHeaders
        appendStatus(status, to: &headers)
        return headers
    }

    private static func appendStatus(_ status: RPCStatus, to headers: inout HPACKHeaders) {
        headers.add(name: "grpc-status", value: String(status.code.rawValue))
        if !status.message.isEmpty {
            headers.add(
                name: "grpc-message", value: percentEncode(status.message),
                indexing: .nonIndexable)
        }
    }

    /// `application/grpc`, alone or followed by `+format` or `;parameters`.
    static func isGRPCContentType(_ value: String) -> Bool {
        let prefix = "application/grpc"
        guard value.utf8.count >= prefix.utf8.count else { return false }
        let rest = value.utf8.dropFirst(prefix.utf8.count)
        guard value.utf8.prefix(prefix.utf8.count).elementsEqual(prefix.utf8) else { return false }
        return switch rest.first {
        case nil, UInt8(ascii: "+"), UInt8(ascii: ";"): true
        default: false
        }
    }

    /// `grpc-timeout`: one to eight digits and a unit. Nil when malformed.
    static func parseTimeout(_ value: String) -> TimeAmount? {
        let bytes = value.utf8
        guard let unit = bytes.last, (2...9).contains(bytes.count) else { return nil }
        var amount: Int64 = 0
        for digit in bytes.dropLast() {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
            amount = amount * 10 + Int64(digit - UInt8(ascii: "0"))
        }
        // At most 99,999,999 hours, which fits nanoseconds only up to about 292 years.
        return switch unit {
        case UInt8(ascii: "H"): .hours(min(amount, 2_000_000))
        case UInt8(ascii: "M"): .minutes(min(amount, 99_999_999))
        case UInt8(ascii: "S"): .seconds(amount)
        case UInt8(ascii: "m"): .milliseconds(amount)
        case UInt8(ascii: "u"): .microseconds(amount)
        case UInt8(ascii: "n"): .nanoseconds(amount)
        default: nil
        }
    }

    /// The finest unit in which the timeout has at most eight digits, rounded up.
    static func formatTimeout(_ timeout: TimeAmount) -> String {
        let nanoseconds = max(timeout.nanoseconds, 1)
        let units: [(Int64, String)] = [
            (1, "n"), (1000, "u"), (1_000_000, "m"), (1_000_000_000, "S"), (60_000_000_000, "M"),
        ]
        for (size, name) in units {
            let amount = (nanoseconds - 1) / size + 1
            if amount <= 99_999_999 { return "\(amount)\(name)" }
        }
        return "99999999M"
    }

    /// Printable ASCII but `%` stands for itself; every other byte of the UTF-8 is `%XX`.
    static func percentEncode(_ message: String) -> String {
        if message.utf8.allSatisfy(isPlain) { return message }
        var encoded = [UInt8]()
        encoded.reserveCapacity(message.utf8.count + 16)
        for byte in message.utf8 {
            if isPlain(byte) {
                encoded.append(byte)
            } else {
                encoded.append(UInt8(ascii: "%"))
                encoded.append(hexDigits[Int(byte >> 4)])
                encoded.append(hexDigits[Int(byte & 0xF)])
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    /// Undoes `percentEncode`. What is not a well-formed `%XX` stays as it is, so that a message is
    /// never lost.
    static func percentDecode(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
        let bytes = Array(text.utf8)
        var decoded = [UInt8]()
        decoded.reserveCapacity(bytes.count)
        var i = 0
        while i < bytes.count {
            if bytes[i] == UInt8(ascii: "%"), i + 2 < bytes.count,
                let high = hexValue(bytes[i + 1]), let low = hexValue(bytes[i + 2])
            {
                decoded.append(high << 4 | low)
                i += 3
            } else {
                decoded.append(bytes[i])
                i += 1
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte <= 0x7E && byte != UInt8(ascii: "%")
    }

    private static let hexDigits = Array("0123456789ABCDEF".utf8)

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
