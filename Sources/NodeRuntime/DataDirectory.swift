import Glibc
import Primitives

/// A node's place on disk (docs/formats/data-directory.md):
///
///     DATA-DIR/identity    who the node is, and how often it was started
///     DATA-DIR/peers       which data directory each other member has
///     DATA-DIR/log/        the replicated log's segments
///     DATA-DIR/state/      the RocksDB instance
///     DATA-DIR/lock        held while the node runs
///
/// `identity` is written whole to another name, synced and renamed, so a crash leaves the old one
/// or the new one.
final class DataDirectory: Sendable {
    static let formatVersion = 1

    struct Identity: Equatable, Sendable {
        var cluster: ClusterID
        var node: NodeID
        /// Drawn when the directory was made, never 0. Group 0 remembers it with the member, so that
        /// a member whose directory was lost, and made anew, is told from one that was restarted.
        var directory: UInt64
        /// How often the node was started with this directory, this start included.
        var incarnation: UInt64
        /// Log and state have been made: from then on a missing one is a loss, not a beginning.
        var isInitialized: Bool
    }

    let path: String
    let identity: Identity
    private let lock: Int32

    var logPath: String { "\(path)/log" }
    var statePath: String { "\(path)/state" }

    private init(path: String, identity: Identity, lock: Int32) {
        self.path = path
        self.identity = identity
        self.lock = lock
    }

    deinit { Glibc.close(lock) }

    /// Opens the directory, or makes it when it is not there; counts the start.
    static func open(
        path: String, cluster: ClusterID, node: NodeID
    ) throws(ConfigurationError) -> DataDirectory {
        try makeDirectory(path)
        let lock = try takeLock(path)
        do throws(ConfigurationError) {
            var identity: Identity
            if let text = try readFile("\(path)/identity") {
                identity = try parse(text, path: path)
                guard identity.cluster == cluster else {
                    throw ConfigurationError(
                        "--data-dir \(path) belongs to cluster \(identity.cluster), but the flags "
                            + "describe cluster \(cluster); use another --data-dir, or the "
                            + "--initial-cluster, --initial-cluster-token (and --measure-idle-groups) "
                            + "it was made with")
                }
                guard identity.node == node else {
                    throw ConfigurationError(
                        "--data-dir \(path) belongs to member \(identity.node), but the flags "
                            + "describe member \(node); two nodes must not share a directory")
                }
                identity.incarnation += 1
            } else {
                guard try isEmpty(path) else {
                    throw ConfigurationError(
                        "--data-dir \(path) has files but no identity file: it is not a data "
                            + "directory of spined, or has lost a part; use an empty directory")
                }
                identity = Identity(
                    cluster: cluster, node: node, directory: .random(in: 1 ... .max),
                    incarnation: 1, isInitialized: false)
            }
            try writeIdentity(identity, path: path)
            try makeDirectory("\(path)/log")
            try makeDirectory("\(path)/state")
            try syncDirectory(path)
            return DataDirectory(path: path, identity: identity, lock: lock)
        } catch {
            Glibc.close(lock)
            throw error
        }
    }

    /// To be called when log and state have been made and are durable.
    func markInitialized() throws(ConfigurationError) {
        guard !identity.isInitialized else { return }
        var marked = identity
        marked.isInitialized = true
        try Self.writeIdentity(marked, path: path)
    }

    private static func parse(_ text: String, path: String) throws(ConfigurationError) -> Identity {
        var fields: [Substring: Substring] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1)
            guard parts.count == 2 else { throw damaged(path) }
            fields[parts[0]] = parts[1]
        }
        guard let version = fields["version"].flatMap({ Int($0) }) else { throw damaged(path) }
        guard version == formatVersion else {
            throw ConfigurationError(
                "--data-dir \(path) has format version \(version); this program reads version "
                    + "\(formatVersion); start the version of spined that wrote it")
        }
        guard let cluster = fields["cluster"].flatMap({ UInt64($0, radix: 16) }),
            let node = fields["member"].flatMap({ UInt64($0, radix: 16) }),
            let directory = fields["directory"].flatMap({ UInt64($0, radix: 16) }),
            let incarnation = fields["incarnation"].flatMap({ UInt64($0) }),
            let initialized = fields["initialized"].flatMap({ Int($0) }),
            let checksum = fields["crc32c"].flatMap({ UInt32($0, radix: 16) })
        else { throw damaged(path) }
        let identity = Identity(
            cluster: ClusterID(cluster), node: NodeID(node), directory: directory,
            incarnation: incarnation,
            isInitialized: initialized == 1)
        guard CRC32C.checksum(Array(body(identity).utf8)) == checksum else { throw damaged(path) }
        return identity
    }

    private static func damaged(_ path: String) -> ConfigurationError {
        ConfigurationError(
            "--data-dir \(path): the identity file is damaged; do not start this node from it: "
                + "move the directory aside and look at the disk")
    }

    private static func body(_ identity: Identity) -> String {
        """
        version \(formatVersion)
        cluster \(identity.cluster)
        member \(identity.node)
        directory \(String(identity.directory, radix: 16))
        incarnation \(identity.incarnation)
        initialized \(identity.isInitialized ? 1 : 0)

        """
    }

    private static func writeIdentity(
        _ identity: Identity, path: String
    ) throws(ConfigurationError) {
        try replace("identity", in: path, with: body(identity))
    }

    /// Writes a file of lines and its checksum whole: after a crash there is the old one or this one.
    /// Durable when it returns.
    static func replace(
        _ name: String, in path: String, with body: String
    ) throws(ConfigurationError) {
        let text = body + "crc32c \(String(CRC32C.checksum(Array(body.utf8)), radix: 16))\n"
        let temporary = "\(path)/\(name).new"
        let file = Glibc.open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("create", temporary) }
        let bytes = Array(text.utf8)
        let written = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        let synced = written == bytes.count && fsync(file) == 0
        Glibc.close(file)
        guard synced else { throw failure("write", temporary) }
        guard rename(temporary, "\(path)/\(name)") == 0 else {
            throw failure("rename", temporary)
        }
        try syncDirectory(path)
    }

    private static func makeDirectory(_ path: String) throws(ConfigurationError) {
        var made = ""
        for part in path.split(separator: "/", omittingEmptySubsequences: false) {
            made += made.isEmpty && !path.hasPrefix("/") ? String(part) : "/\(part)"
            if made == "/" || made.isEmpty { made = ""; continue }
            if mkdir(made, 0o700) == 0 {
                let parent = made.lastIndex(of: "/").map { String(made[..<$0]) } ?? "."
                try syncDirectory(parent.isEmpty ? "/" : parent)
            } else if errno != EEXIST {
                throw failure("make the directory", made)
            }
        }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw ConfigurationError("--data-dir: \(path) is not a directory")
        }
    }

    private static func syncDirectory(_ path: String) throws(ConfigurationError) {
        let directory = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw failure("open", path) }
        defer { Glibc.close(directory) }
        guard fsync(directory) == 0 else { throw failure("sync", path) }
    }

    private static func takeLock(_ path: String) throws(ConfigurationError) -> Int32 {
        let file = Glibc.open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("open", "\(path)/lock") }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            Glibc.close(file)
            throw ConfigurationError(
                "--data-dir \(path) is in use by another spined; stop it first")
        }
        return file
    }

    private static func isEmpty(_ path: String) throws(ConfigurationError) -> Bool {
        guard let directory = opendir(path) else { throw failure("read", path) }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            // What a first start leaves that a crash interrupted before it had an identity, and
            // what a new file system comes with.
            if ![".", "..", "lock", "identity.new", "lost+found"].contains(name) { return false }
        }
        return true
    }

    /// nil when the file is not there. Files of a data directory's own are below 4 KiB.
    static func readFile(_ path: String) throws(ConfigurationError) -> String? {
        let file = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        if file < 0 {
            if errno == ENOENT { return nil }
            throw failure("open", path)
        }
        defer { Glibc.close(file) }
        var bytes = Bytes(repeating: 0, count: 4096)
        let count = read(file, &bytes, bytes.count)
        guard count >= 0 else { throw failure("read", path) }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    private static func failure(_ doing: String, _ path: String) -> ConfigurationError {
        ConfigurationError(
            "--data-dir: cannot \(doing) \(path): \(String(cString: strerror(errno)))")
    }
}
