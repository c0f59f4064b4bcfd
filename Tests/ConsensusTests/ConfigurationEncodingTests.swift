import Consensus
import Primitives
import Testing

/// docs/formats/consensus-configuration.md.
@Suite struct ConfigurationEncodingTests {
    static let replicas = ConfigurationTests.replicas

    /// The worked example of version 2.
    static let example = Configuration(
        voters: JointConfiguration(incoming: replicas(1, 2, 4), outgoing: replicas(1, 2, 3)),
        learners: replicas(0x0102_0304_0506_0708), learnersNext: replicas(3),
        leavesAutomatically: false, zoneRule: ZoneRule(zonesMin: 2, isOverridden: true),
        members: [
            Member(ReplicaID(1), node: NodeID(0x11), zone: ZoneID(0xA)),
            Member(ReplicaID(2), node: NodeID(0x12), zone: ZoneID(0xB), priority: 7),
            Member(ReplicaID(3), node: NodeID(0x13), zone: ZoneID(0xB)),
            Member(ReplicaID(4), node: NodeID(0x14), zone: ZoneID(0xC), isWitness: true),
            Member(ReplicaID(0x0102_0304_0506_0708), node: NodeID(0x15)),
        ])

    static let exampleBytes: Bytes =
        [2, 3, 2, 5]
        + [3] + word(1) + word(0x11) + word(0xA) + [0]
        + [3] + word(2) + word(0x12) + word(0xB) + [7]
        + [0x0A] + word(3) + word(0x13) + word(0xB) + [0]
        + [0x11] + word(4) + word(0x14) + word(0xC) + [0]
        + [4, 8, 7, 6, 5, 4, 3, 2, 1] + word(0x15) + word(0) + [0]

    static func word(_ byte: UInt8) -> Bytes { [byte, 0, 0, 0, 0, 0, 0, 0] }

    static func failure(_ bytes: Bytes) -> DecodingFailure? {
        do {
            _ = try Configuration(decoding: bytes)
            return nil
        } catch {
            return error
        }
    }

    @Test func theEncodingIsTheOneInTheDocument() throws {
        #expect(Self.example.encoded() == Self.exampleBytes)
        #expect(try Configuration(decoding: Self.exampleBytes) == Self.example)
    }

    @Test func version1IsStillRead() throws {
        let sets: [Bytes] = [
            [3] + Self.word(1) + Self.word(2) + Self.word(4),
            [3] + Self.word(1) + Self.word(2) + Self.word(3),
            [1, 8, 7, 6, 5, 4, 3, 2, 1],
        ]
        let read = try Configuration(decoding: [1] + sets.flatMap(\.self))
        #expect(
            read
                == Configuration(
                    voters: JointConfiguration(
                        incoming: Self.replicas(1, 2, 4), outgoing: Self.replicas(1, 2, 3)),
                    learners: Self.replicas(0x0102_0304_0506_0708)))
        #expect(read.leavesAutomatically && read.zoneRule == .none)
        #expect(read.member(ReplicaID(4)) == Member(ReplicaID(4), node: NodeID(4)))

        let one = [1] + Self.word(1)
        #expect(Self.failure([1] + one + [0, 0]) == nil)
        #expect(Self.failure([1, 0] + one + [0]) == .invalid(field: "incoming", offset: 1))
        #expect(Self.failure([1] + one + [0] + one) == .invalid(field: "learners", offset: 11))
        #expect(
            Self.failure([1, 2] + Self.word(2) + Self.word(1) + [0, 0])
                == .invalid(field: "incoming", offset: 1))
        #expect(Self.failure([1, 0x81, 0x08]) == .invalid(field: "incoming", offset: 1))
    }

    @Test func whatAWriterWouldNotWriteIsRefused() {
        func bytes(flags: UInt8 = 0, zonesMin: UInt8 = 0, _ members: Bytes...) -> Bytes {
            [2, flags, zonesMin, UInt8(members.count)] + members.flatMap(\.self)
        }
        func member(_ role: UInt8, _ replica: UInt8) -> Bytes {
            [role] + Self.word(replica) + Self.word(9) + Self.word(0) + [0]
        }
        #expect(Self.failure(bytes(member(1, 1))) == nil)
        #expect(Self.failure([3] + bytes(member(1, 1)).dropFirst()) == .unsupportedVersion(3))
        #expect(Self.failure(bytes(flags: 4, member(1, 1))) == .invalid(field: "flags", offset: 1))
        // Nobody votes; nothing to wait with leaving for.
        #expect(Self.failure(bytes()) == .invalid(field: "members", offset: 3))
        #expect(Self.failure(bytes(member(4, 1))) == .invalid(field: "members", offset: 3))
        #expect(Self.failure(bytes(flags: 1, member(1, 1))) == .invalid(field: "flags", offset: 1))
        // Roles that no sets say.
        for role: UInt8 in 0...255 where ![1, 2, 3, 4, 10].contains(role & ~16) {
            #expect(
                Self.failure(bytes(member(1, 1), member(role, 2)))
                    == .invalid(field: "role", offset: 30))
        }
        // Not ascending, twice the same, too many.
        for second: UInt8 in [1, 2] {
            #expect(
                Self.failure(bytes(member(1, 2), member(1, second)))
                    == .invalid(field: "replica", offset: 31))
        }
        #expect(Self.failure([2, 0, 0, 0x81, 0x18]) == .invalid(field: "members", offset: 3))
        #expect(Self.failure(bytes(member(1, 1)) + [0]) == .trailingBytes(count: 1))
    }

    @Test func everyDamagedEncodingIsRefusedOrMeansSomethingElse() {
        let bytes = Self.exampleBytes
        for count in 0..<bytes.count { #expect(Self.failure(Array(bytes.prefix(count))) != nil) }
        for position in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[position] ^= UInt8(1 << bit)
                #expect((try? Configuration(decoding: damaged)) != Self.example)
            }
        }
    }

    @Test func chanceFindsNoBytesThatAreReadAndWrittenDifferently() throws {
        var chance = SeededGenerator(seed: 11)
        var read = 0
        for round in 0..<20_000 {
            var bytes = Self.example.encoded()
            for _ in 0...chance.next() % 4 {
                let at = Int(chance.next() % UInt64(bytes.count))
                switch chance.next() % 4 {
                case 0: bytes[at] = UInt8(truncatingIfNeeded: chance.next())
                case 1: bytes.remove(at: at)
                case 2: bytes.insert(UInt8(truncatingIfNeeded: chance.next()), at: at)
                default: bytes[at] = UInt8(chance.next() % 17)
                }
            }
            guard let configuration = try? Configuration(decoding: bytes) else { continue }
            read += 1
            #expect(configuration.encoded() == bytes, "round \(round)")
            #expect(try Configuration(decoding: configuration.encoded()) == configuration)
        }
        // Some must get through, or the test says nothing.
        #expect(read > 100)
    }
}
