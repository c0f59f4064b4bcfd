/// The names in a recovery point's directory.
enum ArchiveLayout {
    static let manifest = "manifest.json"
    static let manifestDigest = "manifest.sha256"
    static let packs = "packs"
    static let packSuffix = ".pack"
    /// Starts the name of a file that is being written. Such a file is never read.
    static let partialPrefix = ".partial-"

    static func packName(_ digest: SHA256Digest) -> String { "\(digest)\(packSuffix)" }

    /// A pack's path in messages, relative to the recovery point.
    static func packPath(_ digest: SHA256Digest) -> String { "\(packs)/\(packName(digest))" }

    /// The digest in a pack's file name; nil when it is not one.
    static func packDigest(name: String) -> SHA256Digest? {
        guard name.hasSuffix(packSuffix) else { return nil }
        return SHA256Digest(hex: String(name.dropLast(packSuffix.count)))
    }

    /// The line that `sha256sum -c` reads.
    static func digestLine(_ digest: SHA256Digest) -> String { "\(digest)  \(manifest)\n" }
}
