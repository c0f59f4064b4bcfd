import Primitives
import RecordModel

/// What a verification of a recovery point found.
package struct VerificationReport: Hashable, Sendable {
    package struct Problem: Hashable, Sendable, CustomStringConvertible {
        package enum Kind: String, Hashable, Sendable {
            /// A file that must be there is not.
            case missing
            /// A file that the manifest does not name.
            case unexpected
            /// A link, device, pipe or directory in place of a regular file.
            case notRegularFile
            /// The system refused to read it.
            case unreadable
            /// The file is shorter than the manifest says.
            case truncated
            /// The file is longer than the manifest says, or beyond the format's limits.
            case tooLarge
            /// The bytes are not those that the SHA-256 stands for.
            case altered
            /// The content of another pack, or a pack out of its place.
            case misplaced
            /// The hash is right, and the content is not what the format or the manifest says.
            case malformed
            case unsupportedVersion
            /// Rows that cannot be decoded, out of order, repeated, or above the cut.
            case rows
            case rowCountMismatch
            case digestMismatch
            /// The manifest is not the one that the caller expects.
            case unexpectedManifest
            /// libcrypto could not hash.
            case cryptography
        }
        package var kind: Kind
        /// Relative to the recovery point; control characters are escaped. `.` is the directory.
        package var file: String
        package var reason: String
        package var description: String { "\(file): \(reason)" }
    }

    /// What was counted in the rows of one keyspace, all of which are as the manifest says.
    package struct KeyspaceTotals: Hashable, Sendable {
        package var name: String
        package var revision: Revision
        package var compactRevision: Revision
        package var timestamp: HybridTimestamp
        /// Keys that live at the cut: their newest version is a put.
        package var records: UInt64
        /// Rows: puts and deletions.
        package var versions: UInt64
        package var packs: Int
        /// Of the packs' files.
        package var bytes: UInt64
        package var uncompressedBytes: UInt64
        package var digest: LogicalDigest
    }

    package var directory: String
    /// Of `manifest.json` as it is on disk; to be compared with a value kept elsewhere.
    package var manifestDigest: SHA256Digest?
    /// nil when the manifest could not be decoded.
    package var manifest: Manifest?
    /// In the order of the manifest. Keyspaces with problems are left out.
    package var keyspaces: [KeyspaceTotals] = []
    /// At most `ArchiveLimits.problemsMax`, in the order found.
    package private(set) var problems: [Problem] = []
    /// Problems beyond those listed.
    package private(set) var problemsOmitted = 0

    package var isValid: Bool { problems.isEmpty }

    init(directory: String) { self.directory = directory }

    mutating func add(_ kind: Problem.Kind, file: String, _ reason: String) {
        guard problems.count < ArchiveLimits.problemsMax else {
            problemsOmitted += 1
            return
        }
        problems.append(Problem(kind: kind, file: printable(file), reason: printable(reason)))
    }
}

/// Escapes control characters: a file's name must not be able to write to a terminal.
func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    var escaped = ""
    for scalar in text.unicodeScalars {
        if isControl(scalar) {
            escaped += "\\u{\(String(scalar.value, radix: 16))}"
        } else {
            escaped.unicodeScalars.append(scalar)
        }
    }
    return escaped
}

private func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: true
    default: false
    }
}
