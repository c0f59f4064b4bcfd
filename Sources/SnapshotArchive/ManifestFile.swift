import Primitives

/// `manifest.json` as it is on disk, with its SHA-256 and what `manifest.sha256` says of it.
struct ManifestFile {
    var bytes: Bytes
    var digest: SHA256Digest

    /// - Throws: `noManifest` when there is none.
    init(in directory: ArchiveDirectory) throws(ArchiveError) {
        do throws(ArchiveError) {
            bytes = try directory.read(
                object: ArchiveLayout.manifest, limit: ArchiveLimits.manifestBytesMax)
        } catch {
            throw error.isMissingFile ? .noManifest(path: directory.path) : error
        }
        digest = try SHA256Digest(of: bytes)
    }

    /// Compares the digest with the one kept beside the manifest.
    func expectDigestFile(in directory: ArchiveDirectory) throws(ArchiveError) {
        let line = try directory.read(object: ArchiveLayout.manifestDigest, limit: 4_096)
        guard line == Bytes(ArchiveLayout.digestLine(digest).utf8) else {
            throw .damaged(
                path: directory.path(of: ArchiveLayout.manifest),
                reason: "its SHA-256 \(digest) is not the one in \(ArchiveLayout.manifestDigest)")
        }
    }

    func expect(_ expected: SHA256Digest?, in directory: ArchiveDirectory) throws(ArchiveError) {
        guard let expected, expected != digest else { return }
        throw .unexpectedManifest(
            path: directory.path(of: ArchiveLayout.manifest), expected: expected, found: digest)
    }

    func decoded(in directory: ArchiveDirectory) throws(ArchiveError) -> Manifest {
        let path = directory.path(of: ArchiveLayout.manifest)
        do throws(ManifestProblem) {
            return try Manifest(decoding: bytes)
        } catch {
            switch error {
            case .malformed(let reason): throw .damaged(path: path, reason: reason)
            case .unsupportedVersion(let found):
                throw .unsupportedVersion(
                    path: path, found: found, supported: Manifest.formatVersion)
            }
        }
    }
}
