import Primitives
import RecordModel

/// Checks a whole history of one group, transactions and ranges included, against etcd's promise
/// (API guarantees, "Strict serializability"): the answered revisions give the order.
///
/// A write stands at the revision that it made; what changed nothing stands right behind the write
/// of the revision it was answered at. Checked is:
/// 1. Real time: an operation that was completed before another one was invoked does not stand
///    behind it. A serializable read may stand earlier than this asks, but what it has seen, has
///    happened: nothing that is invoked later may stand before it.
/// 2. Each answer equals the one that the sequential model gives in that order.
/// 3. Revisions are dense. A revision that no answered write made was made by an operation of
///    unknown outcome: search places each at most once, not before an operation that was completed
///    when it was invoked, and so that 2 holds. Those that no gap needs may not have happened.
///
/// Where no revision is missing this takes time in proportion to the history. Placing operations in
/// gaps is a search with conflict-directed backjumping (Prosser, "Hybrid algorithms for the
/// constraint satisfaction problem", 1993).
package struct RevisionOrder: Sendable {
    /// Operations that the model may perform, attempts included. At the limit the verdict is
    /// *unknown*.
    package var stepsMax: Int
    /// What the store held before the first operation, in key order.
    package var initialRecords: [StoreRecord]
    /// The store's revision before the first operation.
    package var initialRevision: Revision

    package init(
        stepsMax: Int = 5_000_000, initialRecords: [StoreRecord] = [],
        initialRevision: Revision = .initial
    ) {
        self.stepsMax = stepsMax
        self.initialRecords = initialRecords
        self.initialRevision = initialRevision
    }

    package func check(_ history: StoreHistory) -> HistoryVerdict {
        if let violation = RevisionPlaces.findDisorder(in: history, above: initialRevision) {
            return .violation(violation)
        }
        var search = RevisionSearch(history, self)
        return search.run()
    }
}
