import Primitives
import RecordModel

/// Checks that single-key histories are linearizable.
///
/// A history is linearizable when each of its parts by object is ("Linearizability", theorem 1), so
/// each key of each group is searched by itself (`KeySearch`). Horn and Kroening ("Faster
/// linearizability checking via P-compositionality", FORTE 2015) show what this is worth.
///
/// What the parts cannot show is the order between keys: `RevisionOrder` checks that.
package struct KeyLinearizability: Sendable {
    /// Attempts to place an operation, and comparisons of what they led to, that the search of one
    /// key may make. At the limit the key is given up, and
    /// the verdict is *unknown* unless another key is a violation.
    package var stepsPerKeyMax: Int

    /// The store's revision before the first operation, without a key in it: every write is told a
    /// later one.
    package var initialRevision: Revision

    package init(stepsPerKeyMax: Int = 2_000_000, initialRevision: Revision = .initial) {
        self.stepsPerKeyMax = stepsPerKeyMax
        self.initialRevision = initialRevision
    }

    package func check(_ history: KeyHistory) -> HistoryVerdict {
        var given: Int? = nil
        for part in KeyPart.partition(history) {
            var search = KeySearch(part, from: initialRevision, stepsMax: stepsPerKeyMax)
            switch search.run() {
            case .linearizable: continue
            case .violation(let violation): return .violation(violation)
            case .unknown(let steps): given = (given ?? 0) + steps
            }
        }
        return given.map { .unknown(stepsTaken: $0) } ?? .linearizable
    }
}
