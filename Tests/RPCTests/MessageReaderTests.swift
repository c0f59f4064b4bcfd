import NIOCore
import Testing

@testable import RPC

/// Length-prefixed messages, however DATA frames cut them.
@Suite struct MessageReaderTests {
    private let wire = ByteBuffer(
        bytes: [0, 0, 0, 0, 3, 1, 2, 3] + [0, 0, 0, 0, 0] + [0, 0, 0, 0, 1, 9])

    @Test func severalMessagesInOneFrame() {
        var reader = MessageReader(bytesMax: 10)
        reader.append(wire)
        #expect(Self.messages(&reader) == [[1, 2, 3], [], [9]])
        #expect(reader.bufferedBytes == 0)
    }

    @Test(arguments: 1...19) func framesOfEverySize(size: Int) {
        var reader = MessageReader(bytesMax: 10)
        var rest = wire
        var found: [[UInt8]] = []
        while rest.readableBytes > 0 {
            reader.append(rest.readSlice(length: min(size, rest.readableBytes))!)
            found += Self.messages(&reader)
        }
        #expect(found == [[1, 2, 3], [], [9]])
    }

    @Test func aMessageAboveTheLimitIsRefusedByItsPrefix() {
        var reader = MessageReader(bytesMax: 10)
        reader.append(ByteBuffer(bytes: [0, 0, 0, 0, 11]))
        guard case .tooLarge(bytes: 11) = reader.next() else {
            Issue.record("11 bytes passed a limit of 10")
            return
        }
    }

    @Test func aMessageOfExactlyTheLimitPasses() {
        var reader = MessageReader(bytesMax: 3)
        reader.append(ByteBuffer(bytes: [0, 0, 0, 0, 3, 1, 2, 3]))
        #expect(Self.messages(&reader) == [[1, 2, 3]])
    }

    @Test func theCompressedFlagIsSeenBeforeTheLength() {
        var reader = MessageReader(bytesMax: 10)
        reader.append(ByteBuffer(bytes: [1]))
        guard case .compressed = reader.next() else {
            Issue.record("a compressed message passed")
            return
        }
    }

    private static func messages(_ reader: inout MessageReader) -> [[UInt8]] {
        var found: [[UInt8]] = []
        while case .message(let message) = reader.next() {
            found.append(Array(message.readableBytesView))
        }
        return found
    }
}
