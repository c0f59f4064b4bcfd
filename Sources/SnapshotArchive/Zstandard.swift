import CZstd
import Primitives

/// One zstd frame (RFC 8878) at a time, whole in memory.
enum Zstandard {
    /// zstd's default: the next levels cost several times the CPU for a few per cent.
    private static let level: Int32 = 3

    /// One frame that states its content's size.
    static func compress(_ bytes: Bytes) throws(ArchiveError) -> Bytes {
        let bound = ZSTD_compressBound(bytes.count)
        var code = 0
        let compressed = Bytes(unsafeUninitializedCapacity: bound) { buffer, filled in
            code = bytes.withUnsafeBytes { source in
                ZSTD_compress(buffer.baseAddress, bound, source.baseAddress, source.count, level)
            }
            filled = ZSTD_isError(code) == 0 ? code : 0
        }
        guard ZSTD_isError(code) == 0 else {
            throw .compression(operation: "zstd compression", reason: name(code))
        }
        return compressed
    }

    /// The content of exactly one frame, or nil with the reason. Never writes, nor allocates, more
    /// than `size`, which the caller has bounded: what a frame says of itself is not trusted.
    static func decompress(
        _ frame: ArraySlice<UInt8>, size: Int
    ) -> Result<Bytes, FrameProblem> {
        var problem: FrameProblem?
        let bytes = Bytes(unsafeUninitializedCapacity: size) { buffer, filled in
            problem = frame.withUnsafeBytes { source -> FrameProblem? in
                let length = ZSTD_findFrameCompressedSize(source.baseAddress, source.count)
                if ZSTD_isError(length) != 0 { return FrameProblem(reason: name(length)) }
                if length != source.count {
                    return FrameProblem(reason: "\(source.count - length) bytes after the frame")
                }
                let stated = ZSTD_getFrameContentSize(source.baseAddress, source.count)
                if stated != UInt64(size) {
                    return FrameProblem(reason: "the frame states another size than the header")
                }
                let count = ZSTD_decompress(
                    buffer.baseAddress, size, source.baseAddress, source.count)
                if ZSTD_isError(count) != 0 { return FrameProblem(reason: name(count)) }
                filled = count
                return nil
            }
        }
        if let problem { return .failure(problem) }
        guard bytes.count == size else {
            return .failure(FrameProblem(reason: "\(bytes.count) bytes, \(size) stated"))
        }
        return .success(bytes)
    }

    struct FrameProblem: Error, Equatable {
        var reason: String
    }

    private static func name(_ code: Int) -> String { String(cString: ZSTD_getErrorName(code)) }
}
