import Primitives
import Testing

@Suite struct ByteCodingTests {
    /// One value of each kind, in the order in which `readEverything` expects them.
    private func writeEverything() -> Bytes {
        var writer = ByteWriter(reserving: 8)
        writer.write(UInt8(0xFE))
        writer.write(UInt16(0x0102))
        writer.write(Int32(-2))
        writer.write(UInt64(0x0102_0304_0506_0708))
        writer.writeBigEndian(UInt32(0x0A0B_0C0D))
        writer.write(true)
        writer.write(false)
        writer.writeVarint(300)
        writer.writeLengthPrefixed(Bytes(1...5))
        writer.writeRaw([9, 8])
        return writer.bytes
    }

    private struct Everything: Equatable {
        var byte: UInt8, short: UInt16, signed: Int32, long: UInt64, big: UInt32
        var yes: Bool, no: Bool, varint: UInt64, prefixed: Bytes, raw: Bytes
    }

    private func readEverything(_ bytes: Bytes) throws(DecodingFailure) -> Everything {
        var reader = ByteReader(bytes)
        let all = Everything(
            byte: try reader.read("byte"), short: try reader.read("short"),
            signed: try reader.read("signed"), long: try reader.read("long"),
            big: try reader.readBigEndian(UInt32.self, "big"), yes: try reader.readBool("yes"),
            no: try reader.readBool("no"), varint: try reader.readVarint("varint"),
            prefixed: Bytes(try reader.readLengthPrefixed("prefixed")),
            raw: Bytes(try reader.readRaw(count: 2, "raw")))
        try reader.expectEnd()
        return all
    }

    private let everything = Everything(
        byte: 0xFE, short: 0x0102, signed: -2, long: 0x0102_0304_0506_0708, big: 0x0A0B_0C0D,
        yes: true, no: false, varint: 300, prefixed: [1, 2, 3, 4, 5], raw: [9, 8])

    @Test func everythingComesBack() throws {
        #expect(try readEverything(writeEverything()) == everything)
    }

    @Test func theBytesAreThoseOfTheFormat() {
        #expect(
            writeEverything() == [
                0xFE, 0x02, 0x01, 0xFE, 0xFF, 0xFF, 0xFF, 8, 7, 6, 5, 4, 3, 2, 1, 0x0A, 0x0B, 0x0C,
                0x0D, 1, 0, 0xAC, 0x02, 5, 1, 2, 3, 4, 5, 9, 8,
            ])
    }

    /// The field that each byte belongs to is the one that the error names.
    @Test func everyTruncationNamesItsField() {
        let bytes = writeEverything()
        let fields: [(StaticStringName, Int)] = [
            ("byte", 1), ("short", 2), ("signed", 4), ("long", 8), ("big", 4), ("yes", 1),
            ("no", 1), ("varint", 2), ("prefixed", 6), ("raw", 2),
        ]
        let owners = fields.flatMap { Array(repeating: $0.0, count: $0.1) }
        #expect(owners.count == bytes.count)
        for length in 0..<bytes.count {
            var found: DecodingFailure?
            do throws(DecodingFailure) {
                _ = try readEverything(Bytes(bytes[..<length]))
            } catch {
                found = error
            }
            guard case .truncated(let field, let offset) = found else {
                Issue.record("\(length) bytes: \(String(describing: found))")
                continue
            }
            #expect(field == owners[length], "\(length) bytes")
            #expect(offset <= length)
        }
    }

    @Test func whatIsLeftIsAnError() {
        #expect(throws: DecodingFailure.trailingBytes(count: 3)) {
            _ = try readEverything(writeEverything() + [1, 2, 3])
        }
    }

    @Test func aSliceIsReadFromItsOwnStart() throws {
        let bytes = [0xFF, 0xFF] + writeEverything()
        var reader = ByteReader(bytes[2...])
        #expect(reader.offset == 0 && reader.remaining == bytes.count - 2)
        #expect(try reader.read(UInt8.self, "byte") == 0xFE)
        #expect(reader.offset == 1 && reader.remaining == bytes.count - 3)
    }

    @Test func aBooleanIsZeroOrOne() {
        var reader = ByteReader([2])
        #expect(throws: DecodingFailure.invalid(field: "flag", offset: 0)) {
            _ = try reader.readBool("flag")
        }
    }

    @Test(
        arguments: [
            (0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (UInt64.max >> 1, 9), (.max, 10),
        ] as [(UInt64, Int)])
    func varintsAreAsLongAsTheyMustBe(value: UInt64, length: Int) throws {
        var writer = ByteWriter()
        writer.writeVarint(value)
        #expect(writer.count == length)
        var reader = ByteReader(writer.bytes)
        #expect(try reader.readVarint("value") == value)
        try reader.expectEnd()
    }

    @Test func varintsBeyond64BitsAreInvalid() {
        for bytes in [
            Bytes(repeating: 0xFF, count: 9) + [0x02], Bytes(repeating: 0x80, count: 10) + [0x01],
        ] {
            var reader = ByteReader(bytes)
            #expect(throws: DecodingFailure.invalid(field: "value", offset: 0)) {
                _ = try reader.readVarint("value")
            }
        }
    }

    /// A length that no memory holds must be an error, not an overflow.
    @Test(arguments: [UInt64.max, UInt64(Int.max), 3])
    func aLengthPastTheEndIsTruncated(length: UInt64) {
        var writer = ByteWriter()
        writer.writeVarint(length)
        writer.writeRaw([1, 2])
        var reader = ByteReader(writer.bytes)
        #expect(throws: DecodingFailure.self) { _ = try reader.readLengthPrefixed("value") }
        var other = ByteReader([1, 2])
        #expect(throws: DecodingFailure.truncated(field: "value", offset: 0)) {
            _ = try other.readRaw(count: -1, "value")
        }
    }

    @Test func overwriteReplacesFourBytes() {
        var writer = ByteWriter()
        writer.writeRaw(Bytes(repeating: 7, count: 6))
        writer.overwrite(0x0403_0201, at: 1)
        #expect(writer.bytes == [7, 1, 2, 3, 4, 7])
    }
}
