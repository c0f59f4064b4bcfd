import Primitives
import RecordModel

/// What applying one log entry gave.
package struct AppliedEntry: Hashable, Sendable {
    package var index: LogIndex
    /// nil where the entry was no command (a leader's empty entry, a configuration), or one whose
    /// bytes could not be decoded.
    package var proposalID: ProposalID?
    /// nil where the entry was no command.
    package var outcome: CommandOutcome?
    /// What it did to leases, in order.
    package var leaseChanges: [LeaseChange]

    package init(
        index: LogIndex, proposalID: ProposalID?, outcome: CommandOutcome?,
        leaseChanges: [LeaseChange] = []
    ) {
        self.index = index
        self.proposalID = proposalID
        self.outcome = outcome
        self.leaseChanges = leaseChanges
    }
}
