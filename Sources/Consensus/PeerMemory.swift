import Primitives

/// What a replica remembers of the other members of its group: at most one record for each.
struct PeerMemory: Sendable {
    /// Ascending.
    private(set) var records: [PeerRecord]
    /// Those whose record on disk is older; ascending.
    private(set) var unwritten: [ReplicaID] = []
    /// Records were lost: one that is left may be of an earlier start than its replica has
    /// registered here.
    private let isIncomplete: Bool
    /// Those whose record is of their latest start for certain, when others need not be.
    private var placed: [ReplicaID] = []

    enum Judgement: Hashable, Sendable {
        /// A start that is not remembered yet, with nothing against it.
        case news
        /// It has registered before.
        case known
        case startedTwice
        case behind(PeerRecord)
    }

    init(_ restored: [PeerRecord], isIncomplete: Bool) {
        self.isIncomplete = isIncomplete
        records = restored.sorted { $0.replica < $1.replica }
    }

    func record(of peer: ReplicaID) -> PeerRecord? { records.first { $0.replica == peer } }

    func isQuarantined(_ peer: ReplicaID) -> Bool {
        record(of: peer)?.incarnation == PeerRecord.quarantined
    }

    /// - Parameter acknowledged: what this replica, as a leader, knows besides its record.
    func judge(
        _ registration: Registration, of peer: ReplicaID, acknowledged: PeerRecord?
    ) -> Judgement {
        var known = record(of: peer) ?? PeerRecord(unknown: peer)
        if registration.incarnation == known.incarnation {
            guard known.start == 0 || known.start == registration.start else {
                return .startedTwice
            }
            // What is remembered may be of this very start: the replica itself can tell.
            if registration.isBehind(known) { return .behind(known) }
            return known.start == 0 ? .news : .known
        }
        if let acknowledged { known.raise(to: acknowledged) }
        return registration.incarnation < known.incarnation || registration.isBehind(known)
            ? .behind(known) : .news
    }

    /// Whether what this peer promises can be put to the start that makes the promise.
    func isPlaced(_ peer: ReplicaID) -> Bool { !isIncomplete || placed.contains(peer) }

    mutating func place(_ peer: ReplicaID) {
        if isIncomplete && !placed.contains(peer) { placed.append(peer) }
    }

    mutating func registered(_ registration: Registration, of peer: ReplicaID) {
        place(peer)
        note(
            PeerRecord(
                replica: peer, incarnation: registration.incarnation, start: registration.start,
                term: registration.term, lastIndex: .zero, lastTerm: .zero))
    }

    /// What is known of a replica becomes this at least.
    mutating func note(_ floor: PeerRecord) {
        var record = record(of: floor.replica) ?? PeerRecord(unknown: floor.replica)
        let before = record
        record.raise(to: floor)
        guard record != before else { return }
        records.removeAll { $0.replica == floor.replica }
        records.append(record)
        records.sort { $0.replica < $1.replica }
        if !unwritten.contains(floor.replica) {
            unwritten = (unwritten + [floor.replica]).sorted()
        }
    }

    /// The records that the disk does not have, which the caller writes.
    mutating func takeUnwritten() -> [PeerRecord] {
        defer { unwritten = [] }
        return records.filter { unwritten.contains($0.replica) }
    }

    /// Forgets those that are members no more; a removed identifier never returns.
    mutating func keep(_ isMember: (ReplicaID) -> Bool) {
        records.removeAll { !isMember($0.replica) }
        unwritten.removeAll { !isMember($0) }
        placed.removeAll { !isMember($0) }
    }
}
