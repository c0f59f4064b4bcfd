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
    /// Configurations that the search of one key may look at. At the limit the key is given up, and
    /// the verdict is *unknown* unless another key is a violation.
    package var stepsPerKeyMax: Int

    package init(stepsPerKeyMax: Int = 2_000_000) { self.stepsPerKeyMax = stepsPerKeyMax }

    package func check(_ history: KeyHistory) -> HistoryVerdict {
        var given: Int? = nil
        for part in KeyPart.partition(history) {
            var search = KeySearch(part, stepsMax: stepsPerKeyMax)
            switch search.run() {
            case .linearizable: continue
            case .violation(let violation): return .violation(violation)
            case .unknown(let steps): given = (given ?? 0) + steps
            }
        }
        return given.map { .unknown(stepsTaken: $0) } ?? .linearizable
    }
}
