import FHIRCore
import Testing

/// RFC 8259, to the letter where it leaves no choice.
@Suite struct JSONParserTests {
    private func parse(_ text: String) throws -> JSONValue {
        try JSONParser.parse(Array(text.utf8))
    }

    private func failure(_ bytes: [UInt8]) -> JSONParseError? {
        do throws(JSONParseError) {
            _ = try JSONParser.parse(bytes)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        "0", "-0", "1", "-1", "10", "1.0", "1.50", "-0.00", "1e5", "1E5", "1e+5", "1E-5", "0e0",
        "123456789012345678901234567890.123456789012345678901234567890e-1234567890",
    ])
    func numbersStayAsWritten(_ lexeme: String) throws {
        #expect(try parse(lexeme) == .number(lexeme))
        #expect(try parse(" [\(lexeme)] ").serialized() == Array("[\(lexeme)]".utf8))
    }

    @Test(arguments: [
        "01", "-01", "00", "+1", ".5", "1.", "1.e1", "1e", "1e+", "-", "--1", "0x1", "1.2.3",
        "Infinity", "NaN", "1_0", "1e1.5", "１",
    ])
    func otherNumbersAreRefused(_ text: String) {
        #expect(failure(Array(text.utf8)) != nil)
        #expect(failure(Array("[\(text)]".utf8)) != nil)
    }

    @Test(arguments: [
        (#""""#, ""), (#""a""#, "a"), (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (#""\u0041\u00e9\u20AC""#, "Aé€"), (#""\ud83d\uDE00""#, "😀"), (#""😀é""#, "😀é"),
        (#""\u0000""#, "\0"), ("\"\u{7F}\u{2028}\"", "\u{7F}\u{2028}"),
        (#""é\n\u0301""#, "é\n\u{301}"),
    ])
    func stringsAreUnescaped(_ text: String, _ expected: String) throws {
        let value = try parse(text)
        #expect(value == .string(expected))
        #expect(try JSONParser.parse(value.serialized()) == value)
    }

    @Test(arguments: [
        (#"""#, JSONParseError.Reason.unexpectedEnd, 1),
        (#""\"#, .unexpectedEnd, 2),
        (#""\x""#, .invalidEscape, 1),
        (#""\u12""#, .invalidEscape, 1),
        (#""\u12g4""#, .invalidEscape, 1),
        (#""a\ud800""#, .loneSurrogate, 2),
        (#""\ud800\ud800""#, .loneSurrogate, 1),
        (#""\ud800x""#, .loneSurrogate, 1),
        (#""\udc00""#, .loneSurrogate, 1),
        ("\"a\nb\"", .controlCharacter(0x0A), 2),
        ("\"\\n\u{1F}\"", .controlCharacter(0x1F), 3),
        ("", .unexpectedEnd, 0),
        ("  ", .unexpectedEnd, 2),
        ("1 2", .trailingBytes, 2),
        ("{}x", .trailingBytes, 2),
        ("nul", .invalidLiteral, 0),
        ("True", .unexpectedByte(0x54), 0),
        ("truE", .invalidLiteral, 0),
        ("[1,]", .unexpectedByte(0x5D), 3),
        ("[,1]", .unexpectedByte(0x2C), 1),
        ("[1 2]", .unexpectedByte(0x32), 3),
        ("[1", .unexpectedEnd, 2),
        ("{\"a\":1,}", .unexpectedByte(0x7D), 7),
        ("{\"a\" 1}", .unexpectedByte(0x31), 5),
        ("{a:1}", .unexpectedByte(0x61), 1),
        ("{\"a\":1 \"b\":2}", .unexpectedByte(0x22), 7),
        ("{\"a\"", .unexpectedEnd, 4),
        ("{1:1}", .unexpectedByte(0x31), 1),
        ("[1]]", .trailingBytes, 3),
        ("// c\n1", .unexpectedByte(0x2F), 0),
        ("'a'", .unexpectedByte(0x27), 0),
        ("\u{FEFF}1", .unexpectedByte(0xEF), 0),
        ("\u{A0}1", .unexpectedByte(0xC2), 0),
        (#"{"a":1,"b":{"a":2,"a":3}}"#, .duplicateName, 18),
        (#"{"a":1,"\u0061":2}"#, .duplicateName, 7),
    ])
    func whatIsNotJSONIsRefusedWithItsPlace(
        _ text: String, _ reason: JSONParseError.Reason, _ offset: Int
    ) {
        #expect(
            failure(Array(text.utf8)) == JSONParseError(reason: reason, offset: offset), "\(text)")
    }

    @Test(arguments: [
        ([0xFF], 1), ([0x61, 0x80], 2), ([0xC0, 0x80], 1), ([0xED, 0xA0, 0x80], 1),
        ([0xF4, 0x90, 0x80, 0x80], 1), ([0xC3, 0xA9, 0xE2, 0x82], 3), ([0xF0, 0x9F, 0x98], 1),
        ([0x5C, 0x6E, 0x61, 0xFF], 4), ([0xC3, 0x5C, 0x6E], 1),
    ])
    func stringsAreUTF8(_ content: [UInt8], _ offset: Int) {
        #expect(
            failure([0x22] + content + [0x22])
                == JSONParseError(reason: .invalidUTF8, offset: offset))
    }

    @Test func namesThatOnlyLookAlikeAreTwo() throws {
        // Swift's == takes a composed and a decomposed accent for the same; JSON does not.
        let text = "{\"\u{E9}\":1,\"e\u{301}\":2}"
        #expect(try parse(text).serialized() == Array(text.utf8))
        #expect(try parse(text)["e\u{301}"] == 2)
        #expect(try parse("\"\u{E9}\"") != parse("\"e\u{301}\""))
    }

    @Test func duplicateIsFoundAmongManyMembers() throws {
        let names = (0..<100).map { "\"n\($0)\":\($0)" }
        #expect(try parse("{\(names.joined(separator: ","))}").object?.members.count == 100)
        for twice in [0, 15, 16, 50, 99] {
            let text = "{\((names + [names[twice]]).joined(separator: ","))}"
            #expect(failure(Array(text.utf8))?.reason == .duplicateName, "n\(twice)")
        }
        let lookalikes = names + ["\"\u{E9}\":1", "\"e\u{301}\":2"]
        #expect(
            try parse("{\(lookalikes.joined(separator: ","))}").object?.members.count == 102)
    }

    @Test func depthIsBounded() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(try parse(nested(JSONParser.depthMax)).array != nil)
        let tooDeep = failure(Array(nested(JSONParser.depthMax + 1).utf8))
        #expect(tooDeep?.reason == .tooDeep(limit: JSONParser.depthMax))
        #expect(tooDeep?.offset == JSONParser.depthMax)
        let hostile = [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)
        #expect(failure(hostile)?.reason == .tooDeep(limit: JSONParser.depthMax))
    }

    @Test func orderOfMembersIsKept() throws {
        let text = #"{"z":1,"a":{"y":[],"b":{}},"m":null,"k":true,"j":false}"#
        #expect(try parse(text).serialized() == Array(text.utf8))
    }

    @Test func prettyIsTheSameValue() throws {
        let value = try parse(#"{"a":[1,{"b":2}],"c":{},"d":[]}"#)
        let pretty = String(decoding: value.serialized(.pretty), as: UTF8.self)
        #expect(
            pretty
                == "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ],\n  \"c\": {},\n"
                + "  \"d\": []\n}")
        #expect(try parse(pretty) == value)
    }

    @Test func membersAreSetInPlaceAndInOrder() {
        var object = JSONObject(["resourceType": "X", "b": 1])
        object.set("id", to: "i", after: "resourceType")
        object.set("first", to: 0, after: nil)
        object.set("b", to: 2, after: "resourceType")
        object["c"] = 3
        object["first"] = nil
        #expect(
            JSONValue.object(object).serialized()
                == Array(#"{"resourceType":"X","id":"i","b":2,"c":3}"#.utf8))
    }

    /// Bytes near to JSON are either refused, at a place inside of them, or come out as JSON that
    /// reads as the same value.
    @Test func changedTextsNeitherCrashNorLose() {
        let seed = UInt64.random(in: 0 ... .max)
        print("changed JSON texts, seed \(seed)")
        var generator = SplitMix(state: seed)
        let text = #"{"a":[1.50,-0,1e+9,"é\u00e9\ud83d\ude00\n"],"b":{"c":null,"d":true},"e":""}"#
        let alphabet = Array(#"{}[]:,"\u0123456789eE+-.tfnaé"#.utf8) + [0x00, 0x1F, 0x80, 0xFF]
        var accepted = 0
        for _ in 0..<20_000 {
            var bytes = Array(text.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let at = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[at] = alphabet.randomElement(using: &generator)!
                case 1: bytes.remove(at: at)
                default: bytes.insert(alphabet.randomElement(using: &generator)!, at: at)
                }
            }
            do throws(JSONParseError) {
                let value = try JSONParser.parse(bytes)
                accepted += 1
                let written = value.serialized()
                let again = try JSONParser.parse(written)
                #expect(again == value, "seed \(seed)")
                #expect(again.serialized() == written, "seed \(seed)")
            } catch {
                #expect((0...bytes.count).contains(error.offset), "seed \(seed)")
            }
        }
        #expect(accepted > 100)
    }
}

/// Chance as a value, so that a run can be repeated from its seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
