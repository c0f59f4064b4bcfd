import Primitives
import RecordModel

extension RecordReader {
    /// An export of every version of every key that a read at the compaction floor or above can
    /// see, from the first row on: the same at every replica, however much of the rest is removed.
    package func exportRows() throws(RecordReadFailure) -> RowExport {
        _ = try shard()
        return RowExport(reader: self)
    }
}

/// Rows of a shard, pulled piece by piece: keys in order, the versions of a key from the oldest on.
/// Between pulls it holds a place and no iterator, so that a slow consumer costs nothing but the
/// reader's pin, and it may move between threads.
package struct RowExport: Sendable {
    package let reader: RecordReader
    /// Rows given so far.
    package private(set) var count: UInt64 = 0
    /// Digest of the rows given so far.
    package private(set) var digest = LogicalDigest()
    /// True once all rows have been given.
    package private(set) var isAtEnd = false
    private var place: RowScan.Place?

    fileprivate init(reader: RecordReader) { self.reader = reader }

    /// The next rows as `VersionRow` writes them, one after another; empty at the end.
    ///
    /// - Parameter maxBytes: where a piece ends. One row alone may be larger; otherwise a piece is
    ///   not.
    package mutating func nextRows(maxBytes: Int) throws(RecordStoreError) -> Bytes {
        if isAtEnd { return [] }
        var rows = ByteWriter(reserving: min(maxBytes, 1 << 20))
        let scan = try RowScan(
            reader.layout, reader.tables, hidingThrough: reader.hidingFloor, after: place)
        while true {
            guard let row = try scan.next() else {
                isAtEnd = true
                break
            }
            var encoded = ByteWriter(reserving: row.key.count + row.fields.count + 8)
            VersionRow.encode(key: row.key, fields: row.fields, into: &encoded)
            if rows.count > 0, rows.count + encoded.count > maxBytes { break }
            rows.writeRaw(encoded.bytes)
            digest.add(row: encoded.bytes)
            count += 1
            place = row.place
            if rows.count >= maxBytes { break }
        }
        return rows.bytes
    }
}
