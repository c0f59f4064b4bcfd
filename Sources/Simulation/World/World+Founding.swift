import Consensus
import Primitives
import RecordModel

/// What the founders of a run are like. Drawn from a stream of its own: it moves nothing else.
struct Founding {
    /// Nodes 1 and 2 are in one zone, 3 and 4 in another, and so on; otherwise neighbours differ.
    /// Where zones are shared a quorum may be in too few of them for the rule.
    var zonesAreShared = false
    var zoneRule = ZoneRule.none
    /// Of each founder.
    var priorities: [UInt8]
    /// A founder that stores no commands in groups whose machines make snapshots.
    var witness: Int?

    /// All alike, as in a traced run or on a stage.
    init(alike founders: Int) { priorities = Array(repeating: 0, count: founders) }

    init(founders: Int, chance: inout Chance) {
        zonesAreShared = chance.below(2) == 0
        if zonesAreShared && chance.below(2) == 0 {
            // Of three, two are enough for a quorum; of five, three, which two zones may hold.
            zoneRule = ZoneRule(zonesMin: founders == 3 ? 2 : 3)
        }
        let areRanked = chance.below(2) == 0
        priorities = (0..<founders).map { _ in areRanked ? UInt8(chance.below(3)) : 0 }
        // It counts for no zone: one that shares its own leaves the rule as it can be met.
        if chance.below(5) == 0 { witness = 1 }
    }

    func zone(of node: Int) -> ZoneID {
        ZoneID(UInt64((zonesAreShared ? node / 2 : node) % 3 + 1))
    }
}

extension World {
    /// The groups' first configurations, known to every founder.
    func found() {
        for group in specs.indices {
            let configuration = founders(of: group)
            checks.groups[group].zoneRules = [(.zero, configuration.zoneRule)]
            if options.isTraced {
                tracers.append(
                    GroupTracer(group: specs[group].id, voters: configuration.voters.incoming))
            }
            for node in nodes[..<founders] {
                let replica = ReplicaID(UInt64(node.number + 1))
                let seat = newSeat(group, replica: replica, configuration)
                seat.isWitness = configuration.isWitness(replica)
                node.seats.append(seat)
            }
        }
    }

    private func founders(of group: Int) -> Configuration {
        let members = nodes[..<founders].map { node in
            Member(
                ReplicaID(UInt64(node.number + 1)), node: node.id, zone: node.zone,
                priority: founding.priorities[node.number],
                isWitness: founding.witness == node.number && specs[group].machine == .registers)
        }
        return Configuration(
            voters: JointConfiguration(incoming: members.map(\.replica)),
            zoneRule: founding.zoneRule, members: members)
    }

    func newSeat(_ group: Int, replica: ReplicaID, _ addressBook: Configuration) -> Seat {
        let machine: any StateMachine =
            switch specs[group].machine {
            case .registers: RegisterMachine()
            case .records: RecordMachine(group: specs[group].id)
            }
        machine.stop(seed: 0)
        return Seat(
            group: group, replica: replica, addressBook: addressBook, machine: machine)
    }
}
