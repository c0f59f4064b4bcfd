/// Bounds of the recovery point format (docs/formats/recovery-point.md, "Limits"). A writer stays
/// within them; a reader refuses what lies beyond them before it allocates for it.
package enum ArchiveLimits {
    /// Uncompressed bytes at which a writer closes a pack. A row that alone is larger gets a pack
    /// of its own.
    package static let packBytesTarget = 32 << 20
    /// Uncompressed bytes of one pack, and so of one row with its length.
    package static let packUncompressedBytesMax = 64 << 20
    /// Bytes of a pack's file: the zstd bound of the above, and the header.
    package static let packFileBytesMax = 65 << 20
    /// Bytes of `manifest.json`: some 600,000 packs, or about 18 TiB of rows.
    package static let manifestBytesMax = 256 << 20
    /// Bytes of one keyspace's name.
    package static let keyspaceNameBytesMax = 64
    /// Keyspaces in one recovery point.
    package static let keyspacesMax = 1_024
    /// Bytes of the product version's text.
    package static let productVersionBytesMax = 64
    /// Entries of one directory that are listed; more is an error.
    package static let directoryEntriesMax = 2_000_000
    /// Bytes of whole rows that a reader hands out at a time. A row that alone is larger comes
    /// alone.
    package static let chunkBytesMax = 1 << 20
    /// Problems that a verification lists; further ones are counted.
    package static let problemsMax = 1_000
}
