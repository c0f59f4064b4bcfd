import Primitives

extension Operation {
    /// How deep transactions may stand within each other: the outermost is at depth 1. Bounds the
    /// stack that a hostile entry can take.
    package static let nestingDepthMax = 32

    private enum Tag {
        static let range: UInt8 = 1
        static let put: UInt8 = 2
        static let deleteRange: UInt8 = 3
        static let txn: UInt8 = 4
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .range(let request):
            writer.write(Tag.range)
            request.encode(into: &writer)
        case .put(let request):
            writer.write(Tag.put)
            request.encode(into: &writer)
        case .deleteRange(let request):
            writer.write(Tag.deleteRange)
            request.range.encode(into: &writer)
            writer.write(request.wantsPrevious)
        case .txn(let txn):
            writer.write(Tag.txn)
            writer.writeVarint(UInt64(txn.compares.count))
            for compare in txn.compares { compare.encode(into: &writer) }
            writer.writeVarint(UInt64(txn.success.count))
            for operation in txn.success { operation.encode(into: &writer) }
            writer.writeVarint(UInt64(txn.failure.count))
            for operation in txn.failure { operation.encode(into: &writer) }
        }
    }

    /// - Parameter depth: of the transaction that the operation stands in, 0 for none.
    init(decoding reader: inout ByteReader, depth: Int) throws(DecodingFailure) {
        let at = reader.offset
        switch try reader.read(UInt8.self, "operation") {
        case Tag.range:
            self = .range(try RangeRequest(decoding: &reader))
        case Tag.put:
            self = .put(try PutRequest(decoding: &reader))
        case Tag.deleteRange:
            self = .deleteRange(
                DeleteRangeRequest(
                    range: try KeyRange(decoding: &reader),
                    wantsPrevious: try reader.readBool("wantsPrevious")))
        case Tag.txn:
            guard depth < Self.nestingDepthMax else {
                throw .invalid(field: "txn.depth", offset: at)
            }
            let compareCount = try reader.readCount("compares", elementBytesMin: 5)
            var compares: [Compare] = []
            compares.reserveCapacity(compareCount)
            for _ in 0..<compareCount { compares.append(try Compare(decoding: &reader)) }
            self = .txn(
                TxnRequest(
                    compares: compares,
                    success: try Self.decodeList(&reader, "success", depth: depth + 1),
                    failure: try Self.decodeList(&reader, "failure", depth: depth + 1)))
        default:
            throw .invalid(field: "operation", offset: at)
        }
    }

    private static func decodeList(
        _ reader: inout ByteReader, _ field: StaticStringName, depth: Int
    ) throws(DecodingFailure) -> [Operation] {
        // The smallest operation is a transaction of nothing: a tag and three counts. Not reserved
        // in advance: an operation takes far more memory than bytes.
        let count = try reader.readCount(field, elementBytesMin: 4)
        var operations: [Operation] = []
        for _ in 0..<count {
            operations.append(try Operation(decoding: &reader, depth: depth))
        }
        return operations
    }
}

extension KeyRange {
    private enum EndTag {
        static let single: UInt8 = 0
        static let before: UInt8 = 1
        static let unbounded: UInt8 = 2
    }

    func encode(into writer: inout ByteWriter) {
        switch end {
        case .single:
            writer.write(EndTag.single)
            writer.writeLengthPrefixed(lower)
        case .before(let upper):
            writer.write(EndTag.before)
            writer.writeLengthPrefixed(lower)
            writer.writeLengthPrefixed(upper)
        case .unbounded:
            writer.write(EndTag.unbounded)
            writer.writeLengthPrefixed(lower)
        }
    }

    init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        let at = reader.offset
        let tag = try reader.read(UInt8.self, "range.end")
        let lower = Bytes(try reader.readLengthPrefixed("range.lower"))
        switch tag {
        case EndTag.single: self.init(lower: lower, end: .single)
        case EndTag.before:
            self.init(
                lower: lower, end: .before(Bytes(try reader.readLengthPrefixed("range.upper"))))
        case EndTag.unbounded: self.init(lower: lower, end: .unbounded)
        default: throw .invalid(field: "range.end", offset: at)
        }
    }
}

extension PutRequest {
    private enum Flag {
        static let wantsPrevious: UInt8 = 1 << 0
        static let ignoresValue: UInt8 = 1 << 1
        static let ignoresLease: UInt8 = 1 << 2
        static let hasLease: UInt8 = 1 << 3
        static let hasTerms: UInt8 = 1 << 4
        static let all: UInt8 = 0b1_1111
    }

    func encode(into writer: inout ByteWriter) {
        var flags: UInt8 = 0
        if wantsPrevious { flags |= Flag.wantsPrevious }
        if ignoresValue { flags |= Flag.ignoresValue }
        if ignoresLease { flags |= Flag.ignoresLease }
        if lease != 0 { flags |= Flag.hasLease }
        if !terms.isEmpty { flags |= Flag.hasTerms }
        writer.write(flags)
        writer.writeLengthPrefixed(key)
        writer.writeLengthPrefixed(value)
        if lease != 0 { writer.writeZigzag(lease) }
        if !terms.isEmpty { writer.writeTerms(terms) }
    }

    init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        let at = reader.offset
        let flags = try reader.read(UInt8.self, "put.flags")
        guard flags & ~Flag.all == 0 else { throw .invalid(field: "put.flags", offset: at) }
        let key = Bytes(try reader.readLengthPrefixed("put.key"))
        let value = Bytes(try reader.readLengthPrefixed("put.value"))
        var lease: Int64 = 0
        if flags & Flag.hasLease != 0 { lease = try reader.readZigzag("put.lease") }
        var terms: [IndexTerm] = []
        if flags & Flag.hasTerms != 0 { terms = try reader.readTerms() }
        self.init(
            key: key, value: value, lease: lease,
            wantsPrevious: flags & Flag.wantsPrevious != 0,
            ignoresValue: flags & Flag.ignoresValue != 0,
            ignoresLease: flags & Flag.ignoresLease != 0, terms: terms)
    }
}

extension RangeRequest {
    private enum Flag {
        static let keysOnly: UInt8 = 1 << 0
        static let countOnly: UInt8 = 1 << 1
        static let revision: UInt8 = 1 << 2
        static let minMod: UInt8 = 1 << 3
        static let maxMod: UInt8 = 1 << 4
        static let minCreate: UInt8 = 1 << 5
        static let maxCreate: UInt8 = 1 << 6
        static let limit: UInt8 = 1 << 7
    }

    func encode(into writer: inout ByteWriter) {
        range.encode(into: &writer)
        writer.write(sortOrder.rawValue)
        writer.write(sortTarget.rawValue)
        var flags: UInt8 = 0
        if keysOnly { flags |= Flag.keysOnly }
        if countOnly { flags |= Flag.countOnly }
        if revision != nil { flags |= Flag.revision }
        if minModRevision != nil { flags |= Flag.minMod }
        if maxModRevision != nil { flags |= Flag.maxMod }
        if minCreateRevision != nil { flags |= Flag.minCreate }
        if maxCreateRevision != nil { flags |= Flag.maxCreate }
        if limit != 0 { flags |= Flag.limit }
        writer.write(flags)
        for bound in [
            revision, minModRevision, maxModRevision, minCreateRevision, maxCreateRevision,
        ] {
            if let bound { writer.writeZigzag(bound.rawValue) }
        }
        if limit != 0 { writer.writeZigzag(Int64(limit)) }
    }

    init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        let range = try KeyRange(decoding: &reader)
        let orderOffset = reader.offset
        guard let order = SortOrder(rawValue: try reader.read(UInt8.self, "sortOrder")) else {
            throw .invalid(field: "sortOrder", offset: orderOffset)
        }
        let targetOffset = reader.offset
        guard let target = SortTarget(rawValue: try reader.read(UInt8.self, "sortTarget")) else {
            throw .invalid(field: "sortTarget", offset: targetOffset)
        }
        let flags = try reader.read(UInt8.self, "range.flags")
        func bound(
            _ flag: UInt8, _ field: StaticStringName
        ) throws(DecodingFailure) -> Revision? {
            guard flags & flag != 0 else { return nil }
            return Revision(try reader.readZigzag(field))
        }
        self.init(range: range, sortOrder: order, sortTarget: target)
        keysOnly = flags & Flag.keysOnly != 0
        countOnly = flags & Flag.countOnly != 0
        revision = try bound(Flag.revision, "range.revision")
        minModRevision = try bound(Flag.minMod, "minModRevision")
        maxModRevision = try bound(Flag.maxMod, "maxModRevision")
        minCreateRevision = try bound(Flag.minCreate, "minCreateRevision")
        maxCreateRevision = try bound(Flag.maxCreate, "maxCreateRevision")
        if flags & Flag.limit != 0 {
            limit = Int(truncatingIfNeeded: try reader.readZigzag("limit"))
        }
    }
}

extension Compare {
    private enum TargetTag {
        static let version: UInt8 = 0
        static let createRevision: UInt8 = 1
        static let modRevision: UInt8 = 2
        static let value: UInt8 = 3
        static let lease: UInt8 = 4
    }

    func encode(into writer: inout ByteWriter) {
        range.encode(into: &writer)
        writer.write(relation.rawValue)
        switch target {
        case .version(let version):
            writer.write(TargetTag.version)
            writer.writeZigzag(version)
        case .createRevision(let revision):
            writer.write(TargetTag.createRevision)
            writer.writeZigzag(revision.rawValue)
        case .modRevision(let revision):
            writer.write(TargetTag.modRevision)
            writer.writeZigzag(revision.rawValue)
        case .value(let value):
            writer.write(TargetTag.value)
            writer.writeLengthPrefixed(value)
        case .lease(let lease):
            writer.write(TargetTag.lease)
            writer.writeZigzag(lease)
        }
    }

    init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        let range = try KeyRange(decoding: &reader)
        let relationOffset = reader.offset
        guard let relation = Relation(rawValue: try reader.read(UInt8.self, "relation")) else {
            throw .invalid(field: "relation", offset: relationOffset)
        }
        let targetOffset = reader.offset
        let target: Target
        switch try reader.read(UInt8.self, "target") {
        case TargetTag.version: target = .version(try reader.readZigzag("version"))
        case TargetTag.createRevision:
            target = .createRevision(Revision(try reader.readZigzag("createRevision")))
        case TargetTag.modRevision:
            target = .modRevision(Revision(try reader.readZigzag("modRevision")))
        case TargetTag.value: target = .value(Bytes(try reader.readLengthPrefixed("value")))
        case TargetTag.lease: target = .lease(try reader.readZigzag("lease"))
        default: throw .invalid(field: "target", offset: targetOffset)
        }
        self.init(range: range, relation: relation, target: target)
    }
}
