import Primitives
import RecordModel

/// Goes through concatenated rows (`VersionRow`) one by one.
struct RowCursor {
    struct Row {
        /// As in the concatenation, length included: what the digest takes.
        var encoded: ArraySlice<UInt8>
        var version: RecordVersion
    }

    private let rows: Bytes
    private var reader: ByteReader
    /// The next row's number in the keyspace.
    private var number: UInt64

    init(_ rows: Bytes, firstRow: UInt64) {
        self.rows = rows
        reader = ByteReader(rows)
        number = firstRow
    }

    /// nil after the last row.
    mutating func next() throws(RowProblem) -> Row? {
        guard reader.remaining > 0 else { return nil }
        let start = reader.offset
        do throws(DecodingFailure) {
            let version = try VersionRow.decode(from: &reader)
            number += 1
            return Row(encoded: rows[start..<reader.offset], version: version)
        } catch {
            throw .undecodable(row: number, error)
        }
    }
}
