import Primitives
import RecordModel

/// What is wrong with a row. Rows are named by their number in the keyspace, from 0: keys are
/// record contents and stay out of messages.
package enum RowProblem: Error, Equatable, Sendable, CustomStringConvertible {
    case undecodable(row: UInt64, DecodingFailure)
    /// A key below the one before it, or an older version after a newer one.
    case outOfOrder(row: UInt64)
    /// The same version of the same key again.
    case repeated(row: UInt64)
    /// A change after the revision of the cut.
    case aboveCut(row: UInt64, modRevision: Revision, cut: Revision)
    /// The row is larger than a pack can be.
    case tooLarge(row: UInt64, bytes: Int)
    /// Other than the number of rows that came with the bytes.
    case count(stated: UInt64, found: UInt64)
    /// The first or last key is another than the manifest states for the pack.
    case keyBounds(row: UInt64)

    package var description: String {
        switch self {
        case .undecodable(let row, let failure): "row \(row) cannot be decoded: \(failure)"
        case .outOfOrder(let row): "row \(row) is out of order"
        case .repeated(let row): "row \(row) repeats the one before it"
        case .aboveCut(let row, let modRevision, let cut):
            "row \(row) is of revision \(modRevision), above the cut at \(cut)"
        case .tooLarge(let row, let bytes):
            "row \(row) has \(bytes) bytes, the limit is \(ArchiveLimits.packUncompressedBytesMax)"
        case .count(let stated, let found): "\(stated) rows stated, \(found) found"
        case .keyBounds(let row):
            "row \(row) has another key than the manifest states for its pack"
        }
    }
}

/// The rows of one keyspace as they go by: checks each against the one before it and against the
/// cut, and counts. Writer, verifier and reader hold the same rows to the same rules.
struct RowSequence {
    let cut: Revision
    private(set) var rowCount: UInt64 = 0
    private(set) var digest = LogicalDigest()
    private var last: (key: Bytes, modRevision: Revision, subRevision: UInt32, lives: Bool)?
    /// Keys before the last one whose newest version is a put.
    private var livingBefore: UInt64 = 0

    init(cut: Revision) { self.cut = cut }

    /// Keys whose newest version so far is a put.
    var livingKeys: UInt64 { livingBefore + (last?.lives == true ? 1 : 0) }
    var lastKey: Bytes? { last?.key }

    /// Goes on after rows that could not be read, numbering from there. What was counted before
    /// no longer says anything of the keyspace as a whole.
    mutating func resume(atRow row: UInt64) { rowCount = row }

    mutating func take(_ row: RowCursor.Row) throws(RowProblem) {
        let version = row.version
        guard version.modRevision <= cut else {
            throw .aboveCut(row: rowCount, modRevision: version.modRevision, cut: cut)
        }
        if let last {
            if version.key == last.key {
                let position = (version.modRevision, version.subRevision)
                if position == (last.modRevision, last.subRevision) {
                    throw .repeated(row: rowCount)
                }
                if position < (last.modRevision, last.subRevision) {
                    throw .outOfOrder(row: rowCount)
                }
            } else {
                guard last.key.lexicographicallyPrecedes(version.key) else {
                    throw .outOfOrder(row: rowCount)
                }
                if last.lives { livingBefore += 1 }
            }
        }
        let lives =
            switch version.kind {
            case .put: true
            case .deletion: false
            }
        last = (version.key, version.modRevision, version.subRevision, lives)
        digest.add(row: row.encoded)
        rowCount += 1
    }
}
