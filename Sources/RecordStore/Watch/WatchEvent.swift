import Primitives
import RecordModel

/// One change of one key, as watchers are told of it (etcd `mvccpb.Event`). Never changed once
/// made, and shared by all watchers that it concerns: hence a class.
package final class WatchEvent: Sendable {
    package let key: Bytes
    package let revision: Revision
    /// Order among the changes of one revision, from 0.
    package let subRevision: UInt32
    /// What was put; nil for a deletion.
    package let record: Record?
    /// The version that was live at the revision before. nil where there was none, where the event
    /// creates the key, where nobody asked for it, or where it has been compacted.
    package let previous: Record?

    package init(
        key: Bytes, revision: Revision, subRevision: UInt32, record: Record?, previous: Record?
    ) {
        self.key = key
        self.revision = revision
        self.subRevision = subRevision
        self.record = record
        self.previous = previous
    }

    convenience init(_ version: RecordVersion, previous: Record?) {
        var record: Record?
        if case .put(let put) = version.kind { record = put }
        self.init(
            key: version.key, revision: version.modRevision, subRevision: version.subRevision,
            record: record, previous: previous)
    }

    package var isDeletion: Bool { record == nil }
    var isCreation: Bool { record?.createRevision == revision }

    /// Keys and values, and what an event costs besides, in bytes: what limits are held against.
    package var bytes: Int {
        Self.overheadBytes + key.count + (record?.value.count ?? 0)
            + (previous.map { $0.key.count + $0.value.count } ?? 0)
    }

    private static let overheadBytes = 128
}
