import Consensus
import Primitives
import Synchronization

/// How a group stood at the end of the consensus thread's last turn.
package struct GroupStatus: Hashable, Sendable {
    package var role: Role
    package var term: Term
    package var leader: ReplicaID?
    package var commitIndex: LogIndex
    package var lastIndex: LogIndex
    package var appliedIndex: LogIndex
}

/// Where the consensus thread posts how its groups stand, for everybody else to read.
final class StatusBoard: Sendable {
    private let groups = Mutex<[GroupID: GroupStatus]>([:])

    func update(_ status: GroupStatus, of group: GroupID) {
        groups.withLock { $0[group] = status }
    }

    func status(of group: GroupID) -> GroupStatus? {
        groups.withLock { $0[group] }
    }
}
