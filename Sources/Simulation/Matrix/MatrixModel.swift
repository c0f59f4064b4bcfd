import Primitives
import ReplicatedLog

/// Where the product does less than is promised, as far as is known: cells of the matrix in which it is
/// expected to be blocked although the model is available. When one is closed, the matrix fails until
/// the case is gone from here and from docs/replica-recovery.md.
package enum MatrixGap: String, CaseIterable, Hashable, Sendable {
    /// In a group whose state machine makes no snapshots, every live replica has lost the content of
    /// an entry that all of them have in their states. They could go on; but their logs would begin
    /// behind it, and nothing could bring up a replica that is down and lacks it, or a new one.
    case logThatMustStayWhole
}

/// What is left of the replicas of one group, and what must therefore be possible: worked out from
/// the documents (docs/formats/log-segment.md "Salvage", docs/replica-recovery.md), and with none of
/// the product's code.
struct MatrixModel {
    struct Replica {
        var isLive: Bool
        /// What it has forgotten has a name.
        var isTrusted: Bool
        var ledger: Ledger
        /// Entries of the log that cannot be read.
        var damaged: [LogIndex]
        /// Through where the state holds everything; zero when it is lost.
        var state: LogIndex

        func holds(_ index: LogIndex, _ term: Term) -> Bool {
            index > ledger.base && ledger.term(at: index) == term && !damaged.contains(index)
        }
    }

    var replicas: [Replica]
    /// Of each committed entry, from index 1.
    var committed: [Term]
    var makesSnapshots: Bool

    private var quorum: Int { replicas.count / 2 + 1 }
    private var counted: [Replica] { replicas.filter { $0.isLive && $0.isTrusted } }

    /// "Available whenever one intact copy of each committed entry is reachable by a quorum": in
    /// a log, or in a state that can be handed on.
    var isPromised: Bool {
        counted.count >= quorum
            && committed.indices.allSatisfy {
                isCovered(LogIndex(UInt64($0 + 1)), committed[$0])
            }
    }

    /// As promised; but an entry that no replica can read, and that may have been committed as far
    /// as those can tell that are live, stands in the way too. Nobody may lead without it, and who
    /// has its name cannot send it. (Alagappan et al., FAST '18, section 3.4.3: the leader waits.)
    var isAvailable: Bool { isAvailable(reading: .logsAndStates) }

    /// What the product is known not to do yet, though it could.
    var gap: MatrixGap? {
        isAvailable && !isAvailable(reading: .logsWithoutSnapshots) ? .logThatMustStayWhole : nil
    }

    private enum Reading {
        /// An entry is at hand in a log, or in a state.
        case logsAndStates
        /// As `logsAndStates`, but a state that cannot be handed on stands for no entry.
        case logsWithoutSnapshots
    }

    private func isAvailable(reading: Reading) -> Bool {
        counted.count >= quorum && counted.contains { canLead($0, reading) }
    }

    /// Replicas that must serve once the group does.
    func mustServe(_ number: Int) -> Bool { replicas[number].isLive && replicas[number].isTrusted }

    private func canLead(_ candidate: Replica, _ reading: Reading) -> Bool {
        let end = (candidate.ledger.lastTerm, candidate.ledger.lastIndex)
        let votes = counted.count { ($0.ledger.lastTerm, $0.ledger.lastIndex) <= end }
        guard votes >= quorum else { return false }
        var index = candidate.ledger.base.next
        while index <= candidate.ledger.lastIndex {
            guard isCovered(index, candidate.ledger.term(at: index)!, reading) else { return false }
            index = index.next
        }
        let first = candidate.ledger.base
        return first == .zero || counted.contains { $0.state >= first }
    }

    private func isCovered(
        _ index: LogIndex, _ term: Term, _ reading: Reading = .logsAndStates
    ) -> Bool {
        if counted.contains(where: { $0.holds(index, term) }) { return true }
        func gives(_ replica: Replica) -> Bool { replica.state >= index }
        if makesSnapshots { return counted.contains(where: gives) }
        return reading == .logsAndStates && counted.allSatisfy(gives)
    }
}

extension MatrixModel {
    init(
        _ cell: MatrixCell, _ group: Int, _ harms: [MatrixHarm], _ scene: MatrixScene,
        _ maps: [DiskMap]
    ) {
        let id = MatrixScene.specs[group].id
        committed = scene.checks.groups[group].committed
        makesSnapshots = MatrixScene.specs[group].machine == .registers
        replicas = scene.images.enumerated().map { number, image in
            let harm = harms.first { $0.node == number }
            let seat = image.seats[group]
            let loss = DiskLoss(maps[number], Set(harm?.sectors ?? []))
            let state: LogIndex
            if harm?.takesState == true, group == cell.group {
                state = .zero
            } else if harm != nil, cell.aim == .state, group == cell.group {
                state = seat.flushed?.appliedIndex ?? scene.recordsApplied[number]
            } else {
                state = seat.registers?.appliedIndex ?? scene.recordsApplied[number]
            }
            return Replica(
                isLive: cell.isLive(number), isTrusted: loss.isNamed(id, seat.ledger),
                ledger: seat.ledger, damaged: loss.damaged(id, seat.ledger), state: state)
        }
    }
}

/// What the loss of sectors means.
struct DiskLoss {
    private let map: DiskMap
    private let sectors: Set<DiskSector>
    /// Batches of which something is lost that nothing names.
    private var unnamed: [UInt64] = []

    init(_ map: DiskMap, _ sectors: Set<DiskSector>) {
        self.map = map
        self.sectors = sectors
        for record in map.records where isLost(record) && sectors.contains(record.identifiers) {
            // A checkpoint restates what is known.
            if record.kind == 9 { continue }
            if unnamed.last != record.sequence { unnamed.append(record.sequence) }
        }
    }

    /// A record whose identifiers are lost is read behind those before it, up to the first that is
    /// not intact; a batch whose head is lost as well cannot be read at all.
    private func isLost(_ record: DiskMap.Record) -> Bool {
        if record.sectors.contains(where: sectors.contains) { return true }
        guard sectors.contains(record.identifiers) else { return false }
        return map.records.contains { other in
            other.sequence == record.sequence && other.offset <= record.offset
                && other.sectors.contains(where: sectors.contains)
        }
    }

    func damaged(_ group: GroupID, _ ledger: Ledger) -> [LogIndex] {
        var found: [LogIndex] = []
        var index = ledger.base.next
        while index <= ledger.lastIndex {
            if let record = map.entry(group, index, ledger.term(at: index)!), isLost(record) {
                found.append(index)
            }
            index = index.next
        }
        return found
    }

    /// Whether what is read later says what was lost: of the log, and of the hard state.
    func isNamed(_ group: GroupID, _ ledger: Ledger) -> Bool {
        unnamed.allSatisfy { sequence in
            let own = map.records.filter { $0.group == group }
            let later = own.filter { $0.sequence > sequence }
            guard later.contains(where: { $0.kind == 2 || $0.kind == 9 }) else { return false }
            let before = own.last { $0.isEntry && $0.sequence < sequence }
            return later.contains { record in
                record.kind == 4 || record.kind == 9
                    || record.isEntry && record.term == before?.term
            }
        }
    }
}
