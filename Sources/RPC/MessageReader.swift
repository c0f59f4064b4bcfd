import NIOCore

/// Cuts a stream of DATA into length-prefixed messages (gRPC over HTTP/2, "Length-Prefixed-Message"):
/// one byte that says whether the message is compressed, four bytes of length, the message. Frames
/// and messages need not line up.
struct MessageReader {
    enum Step {
        case message(ByteBuffer)
        /// More bytes are needed.
        case incomplete
        /// The message says it has this many bytes, which is above the limit.
        case tooLarge(bytes: Int)
        /// The message says it is compressed, or its first byte means nothing.
        case compressed
    }

    private var buffer: ByteBuffer?
    let bytesMax: Int

    static let prefixBytes = 5

    init(bytesMax: Int) {
        self.bytesMax = bytesMax
    }

    /// Bytes of a message that is not whole yet.
    var bufferedBytes: Int { buffer?.readableBytes ?? 0 }

    mutating func append(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        if buffer == nil {
            buffer = bytes
        } else {
            // Grows by doubling with what has come, never by what the prefix promises.
            buffer!.writeImmutableBuffer(bytes)
        }
    }

    /// Forgets what has come: the call has failed.
    mutating func drop() {
        buffer = nil
    }

    mutating func next() -> Step {
        guard let available = buffer else { return .incomplete }
        let start = available.readerIndex
        guard let flag = available.getInteger(at: start, as: UInt8.self) else { return .incomplete }
        guard flag == 0 else { return .compressed }
        guard let length = available.getInteger(at: start + 1, as: UInt32.self) else {
            return .incomplete
        }
        let count = Int(length)
        guard count <= bytesMax else { return .tooLarge(bytes: count) }
        let framed = Self.prefixBytes + count
        guard available.readableBytes >= framed else { return .incomplete }
        let message = available.getSlice(at: start + Self.prefixBytes, length: count)!
        if available.readableBytes == framed {
            buffer = nil
        } else {
            buffer!.moveReaderIndex(forwardBy: framed)
        }
        return .message(message)
    }
}
