import Primitives

/// docs/formats/command.md, "Lease command".
extension LeaseCommand {
    private enum Tag {
        static let grant: UInt8 = 1
        static let revoke: UInt8 = 2
        static let expire: UInt8 = 3
        static let checkpoint: UInt8 = 4
        static let renew: UInt8 = 5
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .grant(let id, let seconds):
            writer.write(Tag.grant)
            writer.write(UInt64(bitPattern: id.rawValue))
            writer.writeZigzag(seconds)
        case .revoke(let id):
            writer.write(Tag.revoke)
            writer.write(UInt64(bitPattern: id.rawValue))
        case .expire(let id, let generation, let term):
            writer.write(Tag.expire)
            writer.write(UInt64(bitPattern: id.rawValue))
            writer.writeVarint(generation.rawValue)
            writer.writeVarint(term.rawValue)
        case .checkpoint(let checkpoints, let term):
            writer.write(Tag.checkpoint)
            writer.writeVarint(term.rawValue)
            writer.writeVarint(UInt64(checkpoints.count))
            for checkpoint in checkpoints {
                writer.write(UInt64(bitPattern: checkpoint.id.rawValue))
                writer.writeVarint(checkpoint.generation.rawValue)
                writer.writeZigzag(checkpoint.remainingSeconds)
            }
        case .renew(let id, let generation, let term):
            writer.write(Tag.renew)
            writer.write(UInt64(bitPattern: id.rawValue))
            writer.writeVarint(generation.rawValue)
            writer.writeVarint(term.rawValue)
        }
    }

    init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        let at = reader.offset
        switch try reader.read(UInt8.self, "lease command") {
        case Tag.grant:
            self = .grant(try reader.readLeaseID(), seconds: try reader.readZigzag("seconds"))
        case Tag.revoke: self = .revoke(try reader.readLeaseID())
        case Tag.expire:
            self = .expire(
                try reader.readLeaseID(),
                generation: LogIndex(try reader.readVarint("generation")),
                term: Term(try reader.readVarint("term")))
        case Tag.checkpoint:
            let term = Term(try reader.readVarint("term"))
            // A checkpoint takes ten bytes at least.
            let count = try reader.readCount("checkpoints", elementBytesMin: 10)
            var checkpoints: [LeaseCheckpoint] = []
            checkpoints.reserveCapacity(count)
            for _ in 0..<count {
                checkpoints.append(
                    LeaseCheckpoint(
                        id: try reader.readLeaseID(),
                        generation: LogIndex(try reader.readVarint("generation")),
                        remainingSeconds: try reader.readZigzag("remainingSeconds")))
            }
            self = .checkpoint(checkpoints, term: term)
        case Tag.renew:
            self = .renew(
                try reader.readLeaseID(),
                generation: LogIndex(try reader.readVarint("generation")),
                term: Term(try reader.readVarint("term")))
        default: throw .invalid(field: "lease command", offset: at)
        }
    }
}

extension ByteReader {
    mutating func readLeaseID() throws(DecodingFailure) -> LeaseID {
        LeaseID(Int64(bitPattern: try read(UInt64.self, "lease")))
    }
}
