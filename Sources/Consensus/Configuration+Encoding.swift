import Primitives

// The format is docs/formats/consensus-configuration.md.
extension Configuration {
    static let formatVersion: UInt8 = 1
    /// Replicas in one set at most. A longer one is a bug of its proposer, and `.invalid` on reading.
    static let replicasMax = 1024

    package func encoded() -> Bytes {
        var writer = ByteWriter()
        writer.write(Self.formatVersion)
        for set in [voters.incoming, voters.outgoing, learners] {
            precondition(set.count <= Self.replicasMax, "\(set.count) replicas in one set")
            writer.writeVarint(UInt64(set.count))
            for replica in set { writer.write(replica.rawValue) }
        }
        return writer.bytes
    }

    package init(decoding bytes: Bytes) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt8.self, "version")
        guard version == Self.formatVersion else { throw .unsupportedVersion(UInt64(version)) }
        let incoming = try Self.readReplicas(&reader, "incoming")
        let outgoing = try Self.readReplicas(&reader, "outgoing")
        let at = reader.offset
        let learners = try Self.readReplicas(&reader, "learners")
        try reader.expectEnd()
        guard !incoming.isEmpty else { throw .invalid(field: "incoming", offset: 1) }
        let voters = JointConfiguration(incoming: incoming, outgoing: outgoing)
        guard !learners.contains(where: voters.contains) else {
            throw .invalid(field: "learners", offset: at)
        }
        self.init(voters: voters, learners: learners)
    }

    private static func readReplicas(
        _ reader: inout ByteReader, _ field: StaticStringName
    ) throws(DecodingFailure) -> [ReplicaID] {
        let at = reader.offset
        let count = try reader.readCount(field)
        guard count <= replicasMax else { throw .invalid(field: field, offset: at) }
        var replicas: [ReplicaID] = []
        for _ in 0..<count {
            let replica = ReplicaID(try reader.read(UInt64.self, field))
            // Ascending, each once: a configuration has one encoding.
            if let last = replicas.last, last >= replica {
                throw .invalid(field: field, offset: at)
            }
            replicas.append(replica)
        }
        return replicas
    }
}
