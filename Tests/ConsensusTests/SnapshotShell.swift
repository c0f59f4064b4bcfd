import Consensus
import Primitives

/// What a replica's shell does about snapshots. Fault model: a snapshot is made at once or not at
/// all, and lives as long as the process that made it; an installation is durable whole or not at
/// all, and a crash may come right after it.
struct SnapshotShell {
    var requests: [SnapshotRequest] = []
    var made: [(id: SnapshotID, state: [LogEntry])] = []
    var fetch: SnapshotMetadata?
    /// Durable, with the state.
    var installed: SnapshotMetadata?
    /// The state machine's disk is lost; what it had durably applied.
    var lostState: LogIndex?
    /// While true nothing is made or fetched by `settle`.
    var isStuck = false
    /// The state machine does not remember the configuration, as one that another program made.
    var forgetsConfigurations = false
    var makesNone = false
    /// Rot was found since the start: acknowledgements that were under way say more than is left.
    var foundRot = false
}

extension Cluster {
    /// What the disk and the state machine say at a start, besides the log.
    func restore(_ restored: inout RestoredState, _ id: Int) {
        restored.damaged = self[id].disk.damaged.map { $0...$0 }
        restored.installedSnapshot = self[id].snapshots.installed
        self[id].snapshots.foundRot = false
        restored.appliedTimestamp = self[id].applied.map(\.timestamp).max() ?? .zero
        if !self[id].snapshots.forgetsConfigurations {
            restored.appliedConfiguration = stateConfiguration(id)
        }
        if let index = self[id].snapshots.lostState {
            restored.stateIsLost = true
            restored.appliedIndex = index
            self[id].snapshots.lostState = nil
        }
    }

    /// Of what is applied, which a start finds durable.
    private func stateConfiguration(_ id: Int) -> ConfigurationEntry {
        for entry in self[id].applied.reversed() {
            guard case .configuration(let bytes) = entry.payload else { continue }
            do {
                return ConfigurationEntry(
                    index: entry.index, configuration: try Configuration(decoding: bytes))
            } catch {
                preconditionFailure("\(error) in \(entry)")
            }
        }
        return ConfigurationEntry(index: .zero, configuration: self[id].bootstrap)
    }

    func takeSnapshotEffects(_ effects: Effects, _ id: Int) {
        self[id].snapshots.requests += effects.snapshotRequests
        if let fetch = effects.snapshotFetch {
            if self[id].snapshots.fetch != nil {
                checker.violations.append("replica \(id) fetches two snapshots at once")
            }
            self[id].snapshots.fetch = fetch
        }
    }

    func crashSnapshots(_ id: Int) {
        self[id].snapshots.requests = []
        self[id].snapshots.made = []
        self[id].snapshots.fetch = nil
    }

    /// What stands for the entries that a log no longer holds. A witness has no state: what the
    /// others have says which entries those were.
    func durableState(_ id: Int) -> ArraySlice<LogEntry> {
        guard self[id].isWitness else {
            return self[id].applied.prefix(self[id].durablyApplied)
        }
        return nodes.map(\.applied).max { $0.count < $1.count }!.map(\.place)[...]
    }

    /// The state machine's own flush.
    func persist(_ id: Int) {
        let index = LogIndex(UInt64(self[id].applied.count))
        self[id].durablyApplied = self[id].applied.count
        event(id) { $0.persisted(through: index) }
    }

    func makeSnapshot(_ id: Int, failing: Bool = false) {
        guard !self[id].snapshots.requests.isEmpty else { return }
        let request = self[id].snapshots.requests.removeFirst()
        let state = self[id].applied
        if !failing { self[id].snapshots.made.append((request.id, state)) }
        let index = LogIndex(UInt64(state.count))
        event(id) { $0.snapshotMade(request.id, at: failing ? nil : index) }
    }

    /// Fetches and installs.
    ///
    /// - Parameter crashing: right behind the installation, before anybody hears of it.
    func fetchSnapshot(_ id: Int, failing: Bool = false, crashing: Bool = false) {
        guard let metadata = self[id].snapshots.fetch else { return }
        self[id].snapshots.fetch = nil
        let source = self[Int(metadata.id.source.rawValue)]
        let isCut = cut.contains { $0.from == source.id && $0.to == self[id].id }
        guard !failing, !isCut, source.raft != nil,
            let made = source.snapshots.made.first(where: { $0.id == metadata.id })
        else {
            checker.reach("snapshot not to be had")
            event(id) { $0.snapshotEnded(metadata.id, .failed) }
            return
        }
        if made.state.count < self[id].applied.count {
            checker.violations.append("replica \(id) goes back to \(made.state.count)")
        }
        if LogIndex(UInt64(made.state.count)) != metadata.index
            || made.state.last?.term != metadata.term
            || made.state.last.map({ $0.timestamp > metadata.timestamp }) ?? true
        {
            checker.violations.append("\(metadata) is offered for \(made.state.count) entries")
        }
        self[id].applied = made.state
        self[id].durablyApplied = made.state.count
        self[id].handed = []
        self[id].snapshots.installed = metadata
        checker.reach("snapshot installed")
        guard !crashing else {
            checker.reach("crash behind an installation")
            crash(id)
            return
        }
        event(id) { $0.snapshotEnded(metadata.id, .installed) }
    }

    /// - Returns: whether there was anything to do.
    func moveSnapshots(_ id: Int) -> Bool {
        guard !self[id].snapshots.isStuck else { return false }
        if !self[id].snapshots.requests.isEmpty {
            makeSnapshot(id, failing: self[id].snapshots.makesNone)
        } else if self[id].snapshots.fetch != nil {
            fetchSnapshot(id)
        } else {
            return false
        }
        return true
    }

    // MARK: Damage

    /// Rot, found at the next start when the replica is down, and now when it runs.
    func damage(_ id: Int, _ indexes: UInt64...) {
        for index in indexes {
            let index = LogIndex(index)
            guard index > self[id].disk.startIndex, index <= self[id].disk.lastIndex else {
                continue
            }
            self[id].disk.damaged.removeAll { $0 == index }
            self[id].disk.damaged.append(index)
            self[id].disk.damaged.sort()
            if self[id].raft != nil {
                self[id].snapshots.foundRot = true
                event(id) { $0.damaged(index...index) }
            }
        }
    }

    func loseState(_ id: Int) {
        precondition(self[id].raft == nil, "replica \(id) runs")
        self[id].snapshots.lostState = LogIndex(UInt64(self[id].durablyApplied))
        self[id].snapshots.installed = nil
        self[id].applied = []
        self[id].durablyApplied = 0
    }
}
