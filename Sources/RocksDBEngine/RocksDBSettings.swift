/// How a RocksDB instance is opened. What is not here is fixed, with its reason, in the shim.
package struct RocksDBSettings: Hashable, Sendable {
    package enum Compression: Hashable, Sendable {
        case none
        case lz4
        case zstd
    }

    /// Make an empty store where there is none. Without it, a directory that holds no store is
    /// `StorageError.corruption`: for an owner that knows that there was one.
    package var createIfMissing = true

    /// Bytes of uncompressed blocks, indexes and filters kept in memory. At the limit the least
    /// recently used are dropped and read again.
    package var blockCacheBytes = 128 << 20

    /// Bytes of one memtable. A full one is written to a table in the background. Memtables are
    /// what a crash loses and the log replays.
    package var memtableBytes = 64 << 20

    /// Memtables in memory. At the limit commits wait until one is written.
    package var memtableCount = 3

    /// Compression of all levels but the last: these are rewritten often.
    package var compression = Compression.lz4

    /// Compression of the last level, which holds nine tenths of the data.
    package var bottommostCompression = Compression.zstd

    /// Bits per key of each table's Bloom filter over whole keys. Ten let one lookup in a hundred
    /// read a block for nothing. Zero: no filter.
    package var bloomBitsPerKey = 10.0

    /// Uncompressed bytes of a block, the unit of checksums and of reads.
    package var blockBytes = 16 << 10

    /// Version of the table files, RocksDB's `format_version`: 5 is the newest that 7.8 writes.
    package var tableFormatVersion: UInt32 = 5

    /// Files of level 0 that start a compaction. Commits are slowed at 16 files more than this and
    /// stopped at 32 more.
    package var level0CompactionTrigger = 4

    /// A table with `deletionTrigger` deletions among any `deletionWindow` entries that follow each
    /// other is merged into the next level as soon as nothing else is due, and so on to the last,
    /// where deletions end. Half of them deletions is far above what writes leave by themselves.
    package var deletionWindow = 1024
    package var deletionTrigger = 512

    /// Threads for flushes and compactions together.
    package var backgroundJobs = 2

    /// Table files held open. Nil: all, each of them opened and checked at the start.
    package var openFilesMax: Int?

    package init() {}
}
