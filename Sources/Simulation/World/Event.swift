import Consensus
import MultiRaft
import Primitives

/// What can happen in the world. `life` counts a node's starts and stops: what was arranged for an
/// earlier life does not happen.
enum Event {
    case deliver(Packet)
    case tick(node: Int, life: Int)
    /// The consensus thread takes what waits.
    case turn(node: Int, life: Int)
    /// The log thread takes what waits and writes it.
    case logWrite(node: Int, life: Int)
    /// What was written is to be synced now.
    case logSync(node: Int, life: Int)
    /// The apply thread takes what waits.
    case apply(node: Int, life: Int)
    case applied(node: Int, life: Int)
    case flush(node: Int, life: Int)
    case fetch(node: Int, life: Int, seat: Int, FetchRequest)
    case snapshotMade(node: Int, life: Int, seat: Int, SnapshotRequest)
    case snapshotStep(node: Int, life: Int, Transfer)
    case start(node: Int, life: Int)
    case client(Int)
    case clientTimeout(Int, serial: Int)
    /// Something bad is done to the cluster.
    case deed
    case operatorActs
    case mend(Mending)
    case heal
    case progress
    /// A node's loss while its groups sleep: its next step.
    case drill
}

/// What one node says to another at once.
struct Packet {
    var from: Int
    var to: Int
    var messages: NodeMessages
}

/// A harm that ends by itself.
enum Mending {
    case network(Int)
    case diskRoom(node: Int)
    case diskSpeed(node: Int)
}

/// A snapshot on its way.
struct Transfer {
    var seat: Int
    var metadata: SnapshotMetadata
    /// Where its source is; nil when nobody has said.
    var source: Int?
    var stepsLeft: Int
    var image: MachineSnapshot?
}
