import NIOCore
import NIOHPACK

/// Headers of a request as the caller of a method gave them, in order. Names compare without
/// regard to case. A name that ends in `-bin` holds bytes, as base64 on the wire.
package struct RPCMetadata: Sendable, ExpressibleByDictionaryLiteral {
    package private(set) var headers: HPACKHeaders

    package init() {
        headers = HPACKHeaders()
    }

    package init(dictionaryLiteral elements: (String, String)...) {
        self.init()
        for (name, value) in elements { add(name, value) }
    }

    /// Takes a header block as it came from the wire, pseudo-headers and all.
    init(received headers: HPACKHeaders) {
        self.headers = headers
    }

    /// Adds a text value. The name must be lower-case ASCII and must not end in `-bin`; the value
    /// must be printable ASCII (gRPC over HTTP/2, "Custom-Metadata"). Anything else is a bug of
    /// the caller.
    package mutating func add(_ name: String, _ value: String) {
        precondition(!name.hasSuffix("-bin"), "metadata \(name) holds bytes: use addBinary")
        precondition(Self.isSendable(name), "metadata name \(name) cannot be sent")
        precondition(
            value.utf8.allSatisfy { $0 >= 0x20 && $0 <= 0x7E },
            "metadata value of \(name) is not printable ASCII")
        headers.add(name: name, value: value)
    }

    /// Adds bytes under a name that ends in `-bin`.
    package mutating func addBinary(_ name: String, _ bytes: [UInt8]) {
        precondition(name.hasSuffix("-bin"), "metadata \(name) holds text: use add")
        precondition(Self.isSendable(name), "metadata name \(name) cannot be sent")
        headers.add(name: name, value: Base64.encode(bytes))
    }

    /// The first value of a name, or nil.
    package func value(for name: String) -> String? {
        headers.first(name: name)
    }

    /// The first value of a name that ends in `-bin`, decoded; nil when absent or not base64.
    package func binaryValue(for name: String) -> [UInt8]? {
        headers.first(name: name).flatMap(Base64.decode)
    }

    /// Lower-case letters, digits, `_`, `-` and `.`; not one of the names that gRPC or HTTP/2 keep.
    private static func isSendable(_ name: String) -> Bool {
        !name.isEmpty && !name.hasPrefix("grpc-")
            && name.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }
}
