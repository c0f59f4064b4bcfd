import Glibc
import Primitives

/// One directory of a recovery point, held open so that what is read and written in it stays in
/// it, whatever happens to its path. Every call blocks on the disk.
final class ArchiveDirectory {
    let path: String
    private let descriptor: Int32

    private init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    func path(of name: String) -> String { path.hasSuffix("/") ? path + name : "\(path)/\(name)" }

    // MARK: Opening

    static func open(at path: String) throws(ArchiveError) -> ArchiveDirectory {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .file(operation: "open", path: path, errno: errno) }
        return ArchiveDirectory(path: path, descriptor: descriptor)
    }

    /// Makes a directory that only its owner can enter, or takes an empty one that is there.
    static func create(at path: String) throws(ArchiveError) -> ArchiveDirectory {
        if mkdir(path, 0o700) == 0 {
            try syncParent(of: path)
        } else if errno != EEXIST {
            throw .file(operation: "create", path: path, errno: errno)
        }
        let directory = try open(at: path)
        guard try directory.names().isEmpty else { throw .directoryNotEmpty(path: path) }
        return directory
    }

    /// A directory in this one; a symbolic link to one is refused.
    func open(subdirectory name: String) throws(ArchiveError) -> ArchiveDirectory {
        let opened = openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard opened >= 0 else {
            throw .file(operation: "open", path: path(of: name), errno: errno)
        }
        return ArchiveDirectory(path: path(of: name), descriptor: opened)
    }

    /// Fails where the name is taken: of two creators in one directory, one goes on.
    func create(subdirectory name: String) throws(ArchiveError) -> ArchiveDirectory {
        guard mkdirat(descriptor, name, 0o700) == 0 else {
            throw .file(operation: "create", path: path(of: name), errno: errno)
        }
        try sync()
        return try open(subdirectory: name)
    }

    // MARK: Listing

    /// What is in the directory, sorted, without `.` and `..`.
    func names() throws(ArchiveError) -> [String] {
        let again = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard again >= 0 else { throw .file(operation: "list", path: path, errno: errno) }
        guard let stream = fdopendir(again) else {
            let code = errno
            close(again)
            throw .file(operation: "list", path: path, errno: code)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw .file(operation: "list", path: path, errno: errno) }
                return names.sorted()
            }
            // The name is read in place: the entry is shorter than its declared 256 bytes.
            let start = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \dirent.d_name)!
            let name = String(cString: start.assumingMemoryBound(to: CChar.self))
            if name == "." || name == ".." { continue }
            names.append(name)
            if names.count > ArchiveLimits.directoryEntriesMax {
                throw .tooLarge(
                    path: path, size: UInt64(names.count),
                    limit: UInt64(ArchiveLimits.directoryEntriesMax))
            }
        }
    }

    // MARK: Objects

    /// Creates a file that is either whole and durable under its name or not there under it: the
    /// bytes go to a temporary name and are synced, the file gets its name without replacing
    /// anything, and the directory is synced.
    func create(object name: String, _ bytes: Bytes) throws(ArchiveError) {
        let partial = ArchiveLayout.partialPrefix + name
        let file = openat(
            descriptor, partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw .file(operation: "create", path: path(of: partial), errno: errno)
        }
        do {
            try write(bytes, to: file, partial)
            try publish(partial, as: name)
        } catch {
            unlinkat(descriptor, partial, 0)
            throw error
        }
        try sync()
    }

    private func write(_ bytes: Bytes, to file: Int32, _ name: String) throws(ArchiveError) {
        var failure: (operation: String, errno: Int32)?
        bytes.withUnsafeBytes { raw in
            var offset = 0
            while offset < raw.count {
                let count = Glibc.write(file, raw.baseAddress! + offset, raw.count - offset)
                if count > 0 {
                    offset += count
                } else if count == 0 || errno != EINTR {
                    failure = ("write", count == 0 ? ENOSPC : errno)
                    return
                }
            }
        }
        if failure == nil, fsync(file) != 0 { failure = ("sync", errno) }
        if close(file) != 0, failure == nil { failure = ("close", errno) }
        if let failure {
            throw .file(
                operation: failure.operation, path: path(of: name), errno: failure.errno)
        }
    }

    /// By a second link: unlike `rename(2)`, `link(2)` never replaces what has the name.
    private func publish(_ partial: String, as name: String) throws(ArchiveError) {
        guard linkat(descriptor, partial, descriptor, name, 0) == 0 else {
            let isWithoutLinks = errno == EPERM || errno == EOPNOTSUPP
            throw .file(
                operation: isWithoutLinks
                    ? "create, on a file system without hard links," : "create",
                path: path(of: name), errno: errno)
        }
        unlinkat(descriptor, partial, 0)
    }

    /// The content of a regular file. Links are not followed, pipes not waited for.
    ///
    /// - Parameter limit: largest size in bytes that is read; a larger file is `tooLarge`.
    func read(object name: String, limit: Int) throws(ArchiveError) -> Bytes {
        var status = stat()
        guard fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw .file(operation: "open", path: path(of: name), errno: errno)
        }
        try expectRegular(status, name)
        let file = openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { throw .file(operation: "open", path: path(of: name), errno: errno) }
        defer { close(file) }
        guard fstat(file, &status) == 0 else {
            throw .file(operation: "read", path: path(of: name), errno: errno)
        }
        try expectRegular(status, name)
        guard status.st_size <= limit else {
            throw .tooLarge(
                path: path(of: name), size: UInt64(status.st_size), limit: UInt64(limit))
        }
        return try read(file, size: Int(status.st_size), name)
    }

    /// At most the size that the file had when it was opened.
    private func read(_ file: Int32, size: Int, _ name: String) throws(ArchiveError) -> Bytes {
        var code: Int32 = 0
        let bytes = Bytes(unsafeUninitializedCapacity: size) { buffer, filled in
            while filled < size {
                let count = Glibc.read(file, buffer.baseAddress! + filled, size - filled)
                if count == 0 { return }
                if count > 0 {
                    filled += count
                } else if errno != EINTR {
                    code = errno
                    return
                }
            }
        }
        if code != 0 { throw .file(operation: "read", path: path(of: name), errno: code) }
        return bytes
    }

    private func expectRegular(_ status: stat, _ name: String) throws(ArchiveError) {
        let kind: String
        switch status.st_mode & S_IFMT {
        case S_IFREG: return
        case S_IFLNK: kind = "a symbolic link"
        case S_IFDIR: kind = "a directory"
        case S_IFIFO: kind = "a pipe"
        case S_IFSOCK: kind = "a socket"
        default: kind = "a device"
        }
        throw .notRegularFile(path: path(of: name), kind: kind)
    }

    // MARK: Durability

    /// Makes the directory's entries durable.
    private func sync() throws(ArchiveError) {
        guard fsync(descriptor) == 0 else {
            throw .file(operation: "sync", path: path, errno: errno)
        }
    }

    private static func syncParent(of path: String) throws(ArchiveError) {
        var parent = path
        while parent.count > 1, parent.hasSuffix("/") { parent.removeLast() }
        if let slash = parent.lastIndex(of: "/") {
            parent = slash == parent.startIndex ? "/" : String(parent[..<slash])
        } else {
            parent = "."
        }
        try open(at: parent).sync()
    }
}
