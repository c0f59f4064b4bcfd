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
            "cannot \(operation) \(path): \(Self.text(errno))"
        case .directoryNotEmpty(let path), .noManifest(let path),
            .notRegularFile(let path, _), .tooLarge(let path, _, _),
            .unsupportedVersion(let path, _, _), .unexpectedManifest(let path, _, _),
            .noSuchKeyspace(let path, _):
            "\(path) \(reason)"
        case .damaged(let path, let reason): "\(path): \(reason)"
        case .statement(let keyspace, _), .rows(let keyspace, _),
            .rowCountMismatch(let keyspace, _, _), .digestMismatch(let keyspace, _, _):
            "keyspace \(keyspace): \(reason)"
        case .cryptography, .compression: reason
        }
    }

    /// The description without the path or the keyspace, for where that is shown already.
    var reason: String {
        switch self {
        case .file(let operation, _, let errno): "cannot \(operation): \(Self.text(errno))"
        case .directoryNotEmpty:
            "is not empty: a recovery point is only created in a new or empty directory"
        case .noManifest:
            "is not a complete recovery point: it has no \(ArchiveLayout.manifest)"
        case .notRegularFile(_, let kind): "is \(kind), not a regular file"
        case .tooLarge(_, let size, let limit): "is too large: \(size), the limit is \(limit)"
        case .damaged(_, let reason), .statement(_, let reason): reason
        case .unsupportedVersion(_, let found, let supported):
            "is of format version \(found); this program reads version \(supported): "
                + "use a newer one"
        case .unexpectedManifest(_, let expected, let found):
            "has SHA-256 \(found), expected \(expected)"
        case .rows(_, let problem): problem.description
        case .rowCountMismatch(_, let stated, let received):
            "the cluster stated \(stated) rows, \(received) were received"
        case .digestMismatch(_, let stated, let received):
            "the cluster stated digest \(stated), the rows received have \(received)"
        case .noSuchKeyspace(_, let keyspace): "holds no keyspace \(keyspace)"
        case .cryptography(let operation, let reason), .compression(let operation, let reason):
            "\(operation) failed: \(reason)"
        }
    }

    private static func text(_ errno: Int32) -> String { String(cString: strerror(errno)) }
}

extension ArchiveError {
    /// The system says that nothing has that name.
    var isMissingFile: Bool {
        if case .file(_, _, let errno) = self { return errno == ENOENT }
        return false
    }
}
