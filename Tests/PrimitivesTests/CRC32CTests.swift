import Primitives
import Testing

/// The checksum against vectors that others have published.
@Suite struct CRC32CTests {
    /// RFC 3720, appendix B.4.
    @Test(
        arguments: [
            (Bytes(repeating: 0x00, count: 32), 0x8A91_36AA),
            (Bytes(repeating: 0xFF, count: 32), 0x62A8_AB43),
            (Bytes(0x00...0x1F), 0x46DD_794E),
            (Bytes((0x00...0x1F).reversed()), 0x113F_DB5C),
            (
                [
                    0x01, 0xC0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                    0x00,
                    0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00,
                    0x14,
                    0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02,
                    0x00,
                    0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                ], 0xD996_3A56
            ),
        ] as [(Bytes, UInt32)])
    func vectorsOfTheStandard(bytes: Bytes, expected: UInt32) {
        #expect(CRC32C.checksum(bytes) == expected)
    }

    /// The check value of the catalogue of parametrised CRC algorithms, CRC-32/ISCSI.
    @Test func checkValue() {
        #expect(CRC32C.checksum(Bytes("123456789".utf8)) == 0xE306_9283)
        #expect(CRC32C.checksum(Bytes()) == 0)
    }

    /// Steps of eight bytes, what is left of them, and unaligned starts all give what one byte at a
    /// time gives.
    @Test func anyDivisionOfTheBytesGivesTheSame() {
        var generator = SeededGenerator(seed: 1)
        let bytes = Bytes((0..<67).map { _ in UInt8.random(in: 0...255, using: &generator) })
        for start in 0..<16 {
            for end in start...bytes.count {
                var one = CRC32C()
                for byte in bytes[start..<end] { one.update(CollectionOfOne(byte)) }
                #expect(CRC32C.checksum(bytes[start..<end]) == one.value)
                var two = CRC32C()
                let middle = (start + end) / 2
                two.update(bytes[start..<middle])
                two.update(bytes[middle..<end])
                #expect(two.value == one.value)
            }
        }
    }

    @Test func bytesWithoutContiguousStorageAreRead() {
        let bytes = Bytes(0..<100)
        #expect(CRC32C.checksum(bytes.lazy.map { $0 }) == CRC32C.checksum(bytes))
        bytes.withUnsafeBytes { #expect(CRC32C.checksum($0) == CRC32C.checksum(bytes)) }
    }
}
