import Glibc
import Primitives
import RecordModel

/// Why a recovery point could not be written or read. Each text is one line that names the path or
/// the keyspace.
package enum ArchiveError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The system refused an operation on a file: disk full, permission, not a directory, …
    case file(operation: String, path: String, errno: Int32)
    /// `create` was given a directory that holds something. Nothing is ever overwritten.
    case directoryNotEmpty(path: String)
    /// There is no manifest, so this is not a recovery point, or one whose creation did not end.
    case noManifest(path: String)
    /// A symbolic link, device, pipe, socket or directory where a regular file must be.
    case notRegularFile(path: String, kind: String)
    /// A file or a directory is beyond what the format allows.
    case tooLarge(path: String, size: UInt64, limit: UInt64)
    /// The file's content is not what the format, the manifest or its name says.
    case damaged(path: String, reason: String)
    /// The file is of a later format than this program reads.
    case unsupportedVersion(path: String, found: UInt64, supported: UInt64)
    /// The manifest's SHA-256 is not the one that the caller expects.
    case unexpectedManifest(path: String, expected: SHA256Digest, found: SHA256Digest)
    /// What the cluster stated of a keyspace cannot be archived, or changed midway.
    case statement(keyspace: String, reason: String)
    /// The rows are not what they must be.
    case rows(keyspace: String, problem: RowProblem)
    /// The cluster counted other rows than were received.
    case rowCountMismatch(keyspace: String, stated: UInt64, received: UInt64)
    /// The cluster's digest is not that of the rows received.
    case digestMismatch(keyspace: String, stated: LogicalDigest, received: LogicalDigest)
    /// The recovery point has no such keyspace.
    case noSuchKeyspace(path: String, keyspace: String)
    /// libcrypto did not do what it was asked for.
    case cryptography(operation: String, reason: String)
    /// zstd did not do what it was asked for.
    case compression(operation: String, reason: String)

    package var description: String {
        switch self {
        case .file(let operation, let path, let errno):
            "cannot \(operation) \(path): \(String(cString: strerror(errno)))"
        case .directoryNotEmpty(let path):
            "\(path) is not empty: a recovery point is only created in a new or empty directory"
        case .noManifest(let path):
            "\(path) is not a complete recovery point: it has no \(ArchiveLayout.manifest)"
        case .notRegularFile(let path, let kind): "\(path) is \(kind), not a regular file"
        case .tooLarge(let path, let size, let limit):
            "\(path) is too large: \(size), the limit is \(limit)"
        case .damaged(let path, let reason): "\(path): \(reason)"
        case .unsupportedVersion(let path, let found, let supported):
            "\(path) is of format version \(found); this program reads version \(supported): "
                + "use a newer one"
        case .unexpectedManifest(let path, let expected, let found):
            "\(path) has SHA-256 \(found), expected \(expected)"
        case .statement(let keyspace, let reason): "keyspace \(keyspace): \(reason)"
        case .rows(let keyspace, let problem): "keyspace \(keyspace): \(problem)"
        case .rowCountMismatch(let keyspace, let stated, let received):
            "keyspace \(keyspace): the cluster stated \(stated) rows, \(received) were received"
        case .digestMismatch(let keyspace, let stated, let received):
            "keyspace \(keyspace): the cluster stated digest \(stated), the rows received have "
                + "\(received)"
        case .noSuchKeyspace(let path, let keyspace): "\(path) holds no keyspace \(keyspace)"
        case .cryptography(let operation, let reason): "\(operation) failed: \(reason)"
        case .compression(let operation, let reason): "\(operation) failed: \(reason)"
        }
    }
}

extension ArchiveError {
    /// The system says that nothing has that name.
    var isMissingFile: Bool {
        if case .file(_, _, let errno) = self { return errno == ENOENT }
        return false
    }
}
