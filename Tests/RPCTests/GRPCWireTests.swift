import NIOCore
import NIOHPACK
import Testing

@testable import RPC

@Suite struct GRPCWireTests {
    @Test(
        arguments: [
            ("1H", 3_600_000_000_000), ("2M", 120_000_000_000), ("3S", 3_000_000_000),
            ("100m", 100_000_000), ("5u", 5000), ("99999999n", 99_999_999), ("0S", 0),
        ] as [(String, Int64)])
    func timeoutsHaveUnits(text: String, nanoseconds: Int64) {
        #expect(GRPCWire.parseTimeout(text)?.nanoseconds == nanoseconds)
    }

    @Test(arguments: ["", "S", "1", "1s", "-1S", "1.5S", "123456789S", " 1S", "1S ", "٣S"])
    func otherTimeoutsAreMalformed(text: String) {
        #expect(GRPCWire.parseTimeout(text) == nil)
    }

    @Test func theLargestTimeoutDoesNotOverflow() {
        #expect(GRPCWire.parseTimeout("99999999H") != nil)
        #expect(GRPCWire.parseTimeout("99999999M") != nil)
    }

    @Test(arguments: [1, 99_999_999, 100_000_000, 5_000_000_000, 86_400_000_000_000, Int64.max])
    func aTimeoutIsWrittenInEightDigitsAndNeverShortened(nanoseconds: Int64) throws {
        let text = GRPCWire.formatTimeout(.nanoseconds(nanoseconds))
        #expect(text.utf8.count <= 9)
        let read = try #require(GRPCWire.parseTimeout(text))
        #expect(read.nanoseconds >= min(nanoseconds, 5_999_999_940_000_000_000))
    }

    @Test(arguments: [
        ("plain", "plain"), ("50 %", "50 %25"), ("größe\n", "gr%C3%B6%C3%9Fe%0A"), ("", ""),
    ])
    func messagesArePercentEncoded(message: String, wire: String) {
        #expect(GRPCWire.percentEncode(message) == wire)
        #expect(GRPCWire.percentDecode(wire) == message)
    }

    @Test(arguments: ["%", "%2", "%zz", "a%", "100%!"])
    func whatIsNotPercentEncodedIsKept(text: String) {
        #expect(GRPCWire.percentDecode(text) == text)
    }

    @Test(arguments: [
        ("application/grpc", true), ("application/grpc+proto", true),
        ("application/grpc;charset=utf-8", true), ("application/grpc-web", false),
        ("application/json", false), ("application/grp", false), ("", false),
    ])
    func contentTypes(value: String, isGRPC: Bool) {
        #expect(GRPCWire.isGRPCContentType(value) == isGRPC)
    }

    /// RFC 4648 §10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
    func base64(plain: String, padded: String) {
        let unpadded = String(padded.prefix { $0 != "=" })
        #expect(Base64.encode(Array(plain.utf8)) == unpadded)
        #expect(Base64.decode(padded) == Array(plain.utf8))
        #expect(Base64.decode(unpadded) == Array(plain.utf8))
    }

    @Test(arguments: ["Z", "Zm9vY", "Zm 9v", "Zm-v"]) func notBase64(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test func metadataNamesHaveNoCase() {
        var metadata = RPCMetadata()
        metadata.add("keyspace", "fhir")
        metadata.addBinary("trace-bin", [0, 255])
        #expect(metadata.value(for: "KeySpace") == "fhir")
        #expect(metadata.value(for: "trace-bin") == "AP8")
        #expect(metadata.binaryValue(for: "trace-bin") == [0, 255])
        #expect(metadata.value(for: "absent") == nil)
    }

    @Test func requestHeadsAreChecked() {
        func head(_ extra: [(String, String)], method: String = "POST") -> String {
            var headers = HPACKHeaders([(":method", method), (":path", "/a/b")])
            headers.add(contentsOf: extra)
            return switch RequestHead.parse(headers) {
            case .success(let head): "ok \(head.path) \(head.timeout?.nanoseconds ?? -1)"
            case .failure(.httpStatus(let status)): status
            case .failure(.status(let status)): "\(status.code)"
            }
        }
        let grpc = ("content-type", "application/grpc")
        #expect(head([grpc]) == "ok /a/b -1")
        #expect(head([grpc, ("grpc-timeout", "1u")]) == "ok /a/b 1000")
        #expect(head([grpc, ("grpc-encoding", "identity")]) == "ok /a/b -1")
        #expect(head([grpc, ("grpc-encoding", "gzip")]) == "unimplemented")
        #expect(head([grpc, ("grpc-timeout", "x")]) == "internalError")
        #expect(head([grpc, ("grpc-timeout", "0n")]) == "deadlineExceeded")
        #expect(head([]) == "415")
        #expect(head([("content-type", "text/html")]) == "415")
        #expect(head([grpc], method: "GET") == "405")
    }
}
