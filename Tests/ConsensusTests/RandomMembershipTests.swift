import Consensus
import Primitives
import Testing

/// Chance changes the members while it hurts them: learners, witnesses, joint configurations, zone
/// rules, replicas that leave for ever; then the group, whatever it has become, must make progress.
@Suite struct RandomMembershipTests {
    @Test(arguments: [1008] as [UInt64])
    func everySeedIsSafeAndMakesProgressOnceHealed(firstSeed: UInt64) {
        var reached: [String: Int] = [:]
        for seed in firstSeed..<firstSeed + 24 {
            var run = Self.run(seed: seed)
            run.hurt(rounds: 300)
            run.heal()
            reached.merge(run.cluster.checker.reached, uniquingKeysWith: +)
            let violations = run.cluster.checker.violations.prefix(5)
            #expect(violations.isEmpty, "seed \(seed)")
            if !violations.isEmpty { return }
        }
        for path in Self.paths {
            #expect(reached[path, default: 0] > 0, "no seed from \(firstSeed) on reaches: \(path)")
        }
    }

    static let paths = [
        "member added", "member removed for ever", "witness added", "joint committed",
        "joint left by itself", "leaveJoint asked for", "configuration rolled back",
        "leader removed", "commit under a zone rule", "commit under an overridden zone rule",
        "zone alarm raised", "zone alarm lowered", "change refused: in progress",
        "change refused: term", "election while joint",
    ]

    static func run(seed: UInt64) -> RandomFaultsTests.Run {
        // A majority in one zone is common, so that the rule has something to hold back.
        let members = Cluster.members([1, 2, 3], zones: [1, 1, 2])
        let cluster = Cluster(
            Configuration(
                voters: JointConfiguration(incoming: members.map(\.replica)),
                zoneRule: ZoneRule(zonesMin: 2), members: members),
            settings: RandomFaultsTests.settings, seed: seed)
        var run = RandomFaultsTests.Run(cluster, seed: seed)
        run.reconfigures = true
        return run
    }
}

extension RandomFaultsTests.Run {
    static var seatsMax: Int { 10 }
    static var membersMax: Int { 6 }

    mutating func reconfigure() {
        buryTheRemoved()
        let id = percent(85) ? cluster.leaders.last ?? anyReplica() : anyReplica()
        guard cluster[id].raft != nil else { return }
        let isJoint = cluster.raft(id).configuration.voters.isJoint
        let request: ConfigurationRequest =
            isJoint && percent(60)
            ? .leaveJoint : .change(anyChanges(at: id), leave: anyLeave())
        if case .change(let changes, _) = request, changes.isEmpty { return }
        let before = cluster.raft(id).configuration
        switch cluster.request(request, at: id) {
        case .accepted: accepted(request, over: before, at: id)
        case .refused(.changeInProgress): cluster.checker.reach("change refused: in progress")
        case .refused(.termNotCommitted): cluster.checker.reach("change refused: term")
        case .refused: break
        }
    }

    private mutating func accepted(
        _ request: ConfigurationRequest, over before: Configuration, at id: Int
    ) {
        if request == .leaveJoint { cluster.checker.reach("leaveJoint asked for") }
        let after = cluster.raft(id).configuration
        for member in after.members where before.member(member.replica) == nil {
            cluster.checker.reach(member.isWitness ? "witness added" : "member added")
        }
        let own = cluster[id].id
        if before.voters.incoming.contains(own) && !after.voters.incoming.contains(own) {
            cluster.checker.reach("leader removed")
        }
    }

    private mutating func anyLeave() -> LeaveMode {
        switch upTo(3) {
        case 0: .explicit
        case 1: .implicit
        default: .automatic
        }
    }

    private mutating func anyChanges(at id: Int) -> [MemberChange] {
        if percent(25) { return [anyZoneRule()] }
        var changes: [MemberChange] = []
        var taken: [Int] = []
        for _ in 0...(percent(30) ? 2 : 0) {
            guard let (seat, change) = anyChange(at: id), !taken.contains(seat) else { continue }
            taken.append(seat)
            changes.append(change)
        }
        return changes
    }

    private mutating func anyZoneRule() -> MemberChange {
        .setZoneRule(ZoneRule(zonesMin: percent(75) ? 2 : 0, isOverridden: percent(40)))
    }

    private mutating func anyChange(at id: Int) -> (Int, MemberChange)? {
        let known = cluster.raft(id).configuration.replicas.map { Int($0.rawValue) }
        if percent(45) {
            let seat = known[Int(upTo(UInt64(known.count - 1)))]
            if percent(50) { return (seat, cluster.removal(seat)) }
            return (seat, seated(seat))
        }
        guard known.count < Self.membersMax else { return nil }
        // A seat whose first change was lost, or that was removed and still stands, may come back.
        let spare = cluster.ids.filter { !cluster[$0].isGone && !known.contains($0) }
        if percent(50), let seat = spare.first { return (seat, seated(seat)) }
        guard cluster.nodes.count < Self.seatsMax else { return nil }
        let seat = cluster.join(isWitness: percent(25))
        return (seat, seated(seat))
    }

    private mutating func seated(_ seat: Int) -> MemberChange {
        let zone: UInt64 = seat % 3 == 0 ? 2 : 1
        return percent(70) ? cluster.voter(seat, zone: zone) : cluster.learner(seat, zone: zone)
    }

    /// A removed replica's disk goes for ever, once no configuration names it that is, or could come
    /// to be, in force.
    private mutating func buryTheRemoved() {
        let settled = cluster.checker.settled
        // A configuration on its way could come into force.
        let travelling = cluster.network + arriving.map(\.message)
        guard !travelling.contains(where: \.bringsConfiguration) else { return }
        for seat in cluster.ids where !cluster[seat].isGone && percent(30) {
            let replica = cluster[seat].id
            guard settled.index > .zero, settled.configuration.member(replica) == nil,
                cluster[seat].disk.lastIndex > .zero,
                cluster.ids.allSatisfy({ !mayNotice($0, replica, after: settled.index) })
            else { continue }
            cluster.destroy(seat)
            cluster.checker.reach("member removed for ever")
        }
    }

    private func mayNotice(_ id: Int, _ replica: ReplicaID, after index: LogIndex) -> Bool {
        let node = cluster[id]
        let onDisk = node.disk.configurations(after: node.bootstrap)
        let onItsWay = node.queued.contains { $0.entries.contains(where: \.isConfiguration) }
        return onItsWay
            || onDisk.contains { $0.index > index && $0.configuration.member(replica) != nil }
            || node.raft.map {
                $0.configurationIndex > index && $0.configuration.member(replica) != nil
            } ?? false
    }

    /// No change is under way that the leader would end, perhaps by stepping down.
    var membershipIsCalm: Bool {
        guard reconfigures else { return true }
        guard let leader = cluster.leaders.last else { return false }
        let configuration = cluster.raft(leader).configuration
        return configuration == cluster.checker.settled.configuration
            && !configuration.voters.isJoint
            && configuration.voters.contains(cluster[leader].id)
    }

    /// What an operator would do once everything works: leave what waits to be left.
    mutating func endReconfiguration() {
        guard let leader = cluster.leaders.last,
            cluster.raft(leader).configuration.voters.isJoint
        else { return }
        cluster.request(.leaveJoint, at: leader)
    }
}

extension LogEntry {
    fileprivate var isConfiguration: Bool {
        if case .configuration = payload { true } else { false }
    }
}

extension RaftMessage {
    fileprivate var bringsConfiguration: Bool {
        if case .appendRequest(let request) = kind {
            request.entries.contains(where: \.isConfiguration)
        } else {
            false
        }
    }
}
