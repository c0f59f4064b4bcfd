import Consensus
import Primitives

/// What damage is permitted, in one place.
///
/// The promise (DESIGN; Protocol-Aware Recovery, FAST '18): safe always, available whenever one
/// intact copy of each committed entry is reachable by a quorum. A run that demands progress must not
/// hurt more than that. Two kinds of harm are told apart.
///
/// *Loss of a replica*: a volume that comes back empty or as it was earlier, a log that says of itself
/// that it may have forgotten something, a replica in quarantine. Such a replica neither votes nor
/// counts until an operator has put a new seat in its place. In every set of voters of every group
/// (both sets, while the configuration is joint) those that are lost, or have lost entries, together
/// stay a minority. A replica that was lost counts until its successor votes in a committed
/// configuration and has all that was committed when it was lost.
///
/// *Loss of entries*: contents that are lost where index and term are known. It may strike any replica,
/// as long as each entry that it strikes has an intact copy on a voter that is not lost itself.
///
/// A rolled-back volume is permitted only where it must be found out: every other voter holds a record
/// of a start that the image has not seen, so that whichever quorum is asked, somebody knows.
struct DamageBudget {
    /// Nodes whose disk was harmed as a whole, until their seats are replaced.
    var lostNodes: [Int] = []
}
