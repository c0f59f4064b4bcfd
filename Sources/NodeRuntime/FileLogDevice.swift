import Glibc
import Primitives
import ReplicatedLog
import Synchronization

/// The log's segments as files of one directory, `segment-<number in 16 hexadecimal digits>.log`.
///
/// A segment is made under a name of its own, filled, synced and then renamed, and the directory is
/// synced: it appears whole or not at all (`LogDevice.create`). The space is reserved, so a full
/// disk is met when a segment is made, not in the middle of one. The directory is locked while this
/// exists: two processes writing one log would destroy it.
///
/// Every call blocks; none belongs on the cooperative pool or an event loop. Files stay open while
/// a reader holds them, so a segment may be removed under a read.
package final class FileLogDevice: LogDevice {
    /// An open file, closed with the last reference.
    private final class File: Sendable {
        let descriptor: Int32
        let path: String
        init(descriptor: Int32, path: String) {
            self.descriptor = descriptor
            self.path = path
        }
        deinit { _ = close(descriptor) }
    }

    private let path: String
    private let directory: File
    private let open = Mutex<[SegmentNumber: File]>([:])

    /// Opens the directory, which is made when it is missing (its parent is not), and locks it.
    ///
    /// - Parameter directory: the path of the directory.
    /// - Throws: `EWOULDBLOCK` (11) when another process holds the lock.
    package init(directory path: String) throws(LogDeviceError) {
        self.path = path
        if mkdir(path, 0o700) == 0 {
            try Self.syncDirectory(Self.parent(of: path))
        } else if errno != EEXIST {
            throw Self.failure(.list, nil, path)
        }
        directory = try Self.openDirectory(path)
        if flock(directory.descriptor, LOCK_EX | LOCK_NB) != 0 {
            throw Self.failure(.list, nil, path, "locked by another process")
        }
        for name in try Self.names(in: path) where name.hasSuffix(Self.unfinishedSuffix) {
            let unfinished = "\(path)/\(name)"
            guard unlink(unfinished) == 0 else {
                throw Self.failure(.remove, nil, unfinished)
            }
        }
    }

    // MARK: - LogDevice

    package func listSegments() throws(LogDeviceError) -> [LogDeviceSegment] {
        var found: [LogDeviceSegment] = []
        for name in try Self.names(in: path) {
            guard let number = Self.number(of: name) else { continue }
            let file = try file(of: number, for: .list)
            var status = stat()
            guard fstat(file.descriptor, &status) == 0 else {
                throw Self.failure(.list, number, file.path)
            }
            found.append(LogDeviceSegment(number: number, bytes: Int(status.st_size)))
        }
        return found.sorted { $0.number < $1.number }
    }

    package func create(
        _ segment: SegmentNumber, bytes: Int, header: UnsafeRawBufferPointer
    ) throws(LogDeviceError) {
        let final = path(of: segment)
        let temporary = final + Self.unfinishedSuffix
        guard access(final, F_OK) != 0 else {
            throw LogDeviceError(
                .create, segment: segment, errorNumber: EEXIST, detail: "\(final): exists")
        }
        let descriptor = Glibc.open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure(.create, segment, temporary) }
        let file = File(descriptor: descriptor, path: final)
        do throws(LogDeviceError) {
            var outcome: Int32
            repeat { outcome = posix_fallocate(descriptor, 0, off_t(bytes)) } while outcome == EINTR
            guard outcome == 0 else {
                throw Self.failure(.create, segment, temporary, number: outcome)
            }
            try Self.writeAll(header, at: 0, to: file, segment, .create)
            guard fsync(descriptor) == 0, rename(temporary, final) == 0 else {
                throw Self.failure(.create, segment, temporary)
            }
        } catch {
            _ = unlink(temporary)
            throw error
        }
        guard fsync(directory.descriptor) == 0 else { throw Self.failure(.create, segment, path) }
        open.withLock { $0[segment] = file }
    }

    package func read(
        _ segment: SegmentNumber, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(LogDeviceError) {
        let file = try file(of: segment, for: .read)
        var done = 0
        while done < buffer.count {
            let count = pread(
                file.descriptor, buffer.baseAddress! + done, buffer.count - done,
                off_t(offset + done))
            if count > 0 {
                done += count
            } else if count == 0 {
                throw LogDeviceError(
                    .read, segment: segment, errorNumber: 0,
                    detail: "\(file.path): ends before byte \(offset + buffer.count)")
            } else if errno != EINTR {
                throw Self.failure(.read, segment, file.path)
            }
        }
    }

    package func write(
        _ segment: SegmentNumber, at offset: Int, _ bytes: UnsafeRawBufferPointer
    ) throws(LogDeviceError) {
        let file = try file(of: segment, for: .write)
        try Self.writeAll(bytes, at: offset, to: file, segment, .write)
    }

    /// `fdatasync`: the file's size never changes after `create`, so what it leaves out is not
    /// needed to read the segment back.
    package func sync(_ segment: SegmentNumber) throws(LogDeviceError) {
        let file = try file(of: segment, for: .sync)
        guard fdatasync(file.descriptor) == 0 else {
            throw Self.failure(.sync, segment, file.path)
        }
    }

    package func remove(_ segment: SegmentNumber) throws(LogDeviceError) {
        let path = path(of: segment)
        open.withLock { $0[segment] = nil }
        guard unlink(path) == 0 else { throw Self.failure(.remove, segment, path) }
        guard fsync(directory.descriptor) == 0 else {
            throw Self.failure(.remove, segment, self.path)
        }
    }

    // MARK: - Names and files

    private static let prefix = "segment-"
    private static let suffix = ".log"
    private static let unfinishedSuffix = ".new"

    private func path(of segment: SegmentNumber) -> String {
        let digits = String(segment.rawValue, radix: 16)
        let zeroes = String(repeating: "0", count: 16 - digits.count)
        return "\(path)/\(Self.prefix)\(zeroes)\(digits)\(Self.suffix)"
    }

    private static func number(of name: String) -> SegmentNumber? {
        guard name.hasPrefix(prefix), name.hasSuffix(suffix) else { return nil }
        let digits = name.dropFirst(prefix.count).dropLast(suffix.count)
        guard digits.count == 16 else { return nil }
        return UInt64(digits, radix: 16).map { SegmentNumber($0) }
    }

    private func file(
        of segment: SegmentNumber, for operation: LogDeviceError.Operation
    ) throws(LogDeviceError) -> File {
        if let known = open.withLock({ $0[segment] }) { return known }
        let path = path(of: segment)
        let descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure(operation, segment, path) }
        let file = File(descriptor: descriptor, path: path)
        // Two readers may both have opened it: the first stays, the other is closed.
        return open.withLock { files in
            let kept = files[segment] ?? file
            files[segment] = kept
            return kept
        }
    }

    private static func names(in path: String) throws(LogDeviceError) -> [String] {
        guard let stream = opendir(path) else { throw failure(.list, nil, path) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw failure(.list, nil, path) }
                return names
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            names.append(name)
        }
    }

    private static func openDirectory(_ path: String) throws(LogDeviceError) -> File {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(.list, nil, path) }
        return File(descriptor: descriptor, path: path)
    }

    private static func syncDirectory(_ path: String) throws(LogDeviceError) {
        let directory = try openDirectory(path)
        guard fsync(directory.descriptor) == 0 else { throw failure(.list, nil, path) }
    }

    private static func parent(of path: String) -> String {
        let trimmed = path.last == "/" ? path.dropLast() : path[...]
        guard let slash = trimmed.lastIndex(of: "/") else { return "." }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }

    private static func writeAll(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, to file: File,
        _ segment: SegmentNumber, _ operation: LogDeviceError.Operation
    ) throws(LogDeviceError) {
        var done = 0
        while done < bytes.count {
            let count = pwrite(
                file.descriptor, bytes.baseAddress! + done, bytes.count - done,
                off_t(offset + done))
            if count > 0 {
                done += count
            } else if count == 0 || errno != EINTR {
                throw failure(operation, segment, file.path)
            }
        }
    }

    /// The error of the call that just failed.
    private static func failure(
        _ operation: LogDeviceError.Operation, _ segment: SegmentNumber?, _ path: String,
        _ reason: String? = nil, number: Int32? = nil
    ) -> LogDeviceError {
        let number = number ?? errno
        let reason = reason ?? String(cString: strerror(number))
        return LogDeviceError(
            operation, segment: segment, errorNumber: number, detail: "\(path): \(reason)")
    }
}
