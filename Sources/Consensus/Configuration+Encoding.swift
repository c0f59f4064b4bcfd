import Primitives

// The format is docs/formats/consensus-configuration.md.
extension Configuration {
    static let formatVersion: UInt8 = 2
    /// Members at most. A request for more is refused, and so is a longer encoding.
    package static let membersMax = 1024
    /// Members of the largest configuration that version 1 could say: three sets apart.
    private static let encodedMembersMax = 3 * membersMax

    private enum Flag {
        static let waitsToBeLeft: UInt8 = 1 << 0
        static let zoneRuleIsOverridden: UInt8 = 1 << 1
        static let all: UInt8 = 0b11
    }

    private enum Role {
        static let incoming: UInt8 = 1 << 0
        static let outgoing: UInt8 = 1 << 1
        static let learner: UInt8 = 1 << 2
        static let learnerNext: UInt8 = 1 << 3
        static let witness: UInt8 = 1 << 4

        /// Without `witness`: those that the sets allow.
        static let combinations = [
            incoming, outgoing, incoming | outgoing, outgoing | learnerNext, learner,
        ]
    }

    package func encoded() -> Bytes {
        precondition(members.count <= Self.encodedMembersMax, "\(members.count) members")
        var writer = ByteWriter()
        writer.write(Self.formatVersion)
        writer.write(
            (leavesAutomatically ? 0 : Flag.waitsToBeLeft)
                | (zoneRule.isOverridden ? Flag.zoneRuleIsOverridden : 0))
        writer.write(zoneRule.zonesMin)
        writer.writeVarint(UInt64(members.count))
        for member in members {
            writer.write(role(of: member))
            writer.write(member.replica.rawValue)
            writer.write(member.node.rawValue)
            writer.write(member.zone.rawValue)
            writer.write(member.priority)
        }
        return writer.bytes
    }

    private func role(of member: Member) -> UInt8 {
        let replica = member.replica
        return (voters.incoming.contains(replica) ? Role.incoming : 0)
            | (voters.outgoing.contains(replica) ? Role.outgoing : 0)
            | (learners.contains(replica) ? Role.learner : 0)
            | (learnersNext.contains(replica) ? Role.learnerNext : 0)
            | (member.isWitness ? Role.witness : 0)
    }

    package init(decoding bytes: Bytes) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt8.self, "version")
        switch version {
        case 1: self = try Self.readVersion1(&reader)
        case Self.formatVersion: self = try Self.readVersion2(&reader)
        default: throw .unsupportedVersion(UInt64(version))
        }
        try reader.expectEnd()
    }

    private static func readVersion2(
        _ reader: inout ByteReader
    ) throws(DecodingFailure) -> Configuration {
        let flags = try reader.read(UInt8.self, "flags")
        guard flags & ~Flag.all == 0 else { throw .invalid(field: "flags", offset: 1) }
        let zonesMin = try reader.read(UInt8.self, "zonesMin")
        let membersAt = reader.offset
        let count = try reader.readCount("members")
        guard count <= encodedMembersMax else {
            throw .invalid(field: "members", offset: membersAt)
        }
        var sets = Sets()
        for _ in 0..<count { try sets.readMember(&reader) }
        guard !sets.incoming.isEmpty else { throw .invalid(field: "members", offset: membersAt) }
        guard flags & Flag.waitsToBeLeft == 0 || !sets.outgoing.isEmpty else {
            throw .invalid(field: "flags", offset: 1)
        }
        return Configuration(
            voters: JointConfiguration(incoming: sets.incoming, outgoing: sets.outgoing),
            learners: sets.learners, learnersNext: sets.learnersNext,
            leavesAutomatically: flags & Flag.waitsToBeLeft == 0,
            zoneRule: ZoneRule(
                zonesMin: zonesMin, isOverridden: flags & Flag.zoneRuleIsOverridden != 0),
            members: sets.members)
    }

    private struct Sets {
        var incoming: [ReplicaID] = []
        var outgoing: [ReplicaID] = []
        var learners: [ReplicaID] = []
        var learnersNext: [ReplicaID] = []
        var members: [Member] = []

        mutating func readMember(_ reader: inout ByteReader) throws(DecodingFailure) {
            let at = reader.offset
            let role = try reader.read(UInt8.self, "role")
            guard Role.combinations.contains(role & ~Role.witness) else {
                throw .invalid(field: "role", offset: at)
            }
            let replica = ReplicaID(try reader.read(UInt64.self, "replica"))
            // Ascending, each once: a configuration has one encoding.
            if let last = members.last, last.replica >= replica {
                throw .invalid(field: "replica", offset: at + 1)
            }
            if role & Role.incoming != 0 { incoming.append(replica) }
            if role & Role.outgoing != 0 { outgoing.append(replica) }
            if role & Role.learner != 0 { learners.append(replica) }
            if role & Role.learnerNext != 0 { learnersNext.append(replica) }
            members.append(
                Member(
                    replica, node: NodeID(try reader.read(UInt64.self, "node")),
                    zone: ZoneID(try reader.read(UInt64.self, "zone")),
                    priority: try reader.read(UInt8.self, "priority"),
                    isWitness: role & Role.witness != 0))
        }
    }

    // MARK: Version 1

    /// Sets of replicas without attributes; a joint one was left by its leader.
    private static func readVersion1(
        _ reader: inout ByteReader
    ) throws(DecodingFailure) -> Configuration {
        let incoming = try readReplicas(&reader, "incoming")
        let outgoing = try readReplicas(&reader, "outgoing")
        let at = reader.offset
        let learners = try readReplicas(&reader, "learners")
        guard !incoming.isEmpty else { throw .invalid(field: "incoming", offset: 1) }
        let voters = JointConfiguration(incoming: incoming, outgoing: outgoing)
        guard !learners.contains(where: voters.contains) else {
            throw .invalid(field: "learners", offset: at)
        }
        return Configuration(voters: voters, learners: learners)
    }

    private static func readReplicas(
        _ reader: inout ByteReader, _ field: StaticStringName
    ) throws(DecodingFailure) -> [ReplicaID] {
        let at = reader.offset
        let count = try reader.readCount(field)
        guard count <= membersMax else { throw .invalid(field: field, offset: at) }
        var replicas: [ReplicaID] = []
        for _ in 0..<count {
            let replica = ReplicaID(try reader.read(UInt64.self, field))
            if let last = replicas.last, last >= replica {
                throw .invalid(field: field, offset: at)
            }
            replicas.append(replica)
        }
        return replicas
    }
}
