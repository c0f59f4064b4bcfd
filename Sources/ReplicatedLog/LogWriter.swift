import Primitives

/// The log thread's part of the log: where the next batch goes and what is durable.
///
/// Invariants:
/// 1. `durableSequence <= sequence`.
/// 2. `dataEnd + 2 <= identifiersStart`: there is always room for the batch that ends the segment.
/// 3. Everything in segments before `segment` is durable.
struct LogWriter: Sendable {
    var device: any LogDevice
    let identity: LogIdentity
    let settings: LogSettings

    /// The first failure. The log does nothing after it.
    var poison: LogDeviceError?
    /// The segments that exist, ascending; the last one is written.
    var segments: [SegmentNumber]
    var mayLackGroups: Bool
    /// The first sector behind the last batch.
    var dataEnd: UInt32
    /// The first sector of the identifiers.
    var identifiersStart: UInt32
    /// The last batch written, 0 before the first.
    var sequence: UInt64
    /// The last batch that a sync has made durable.
    var durableSequence: UInt64
    var epoch: UInt64
    var encoder = BatchEncoder()
    /// Segments below this one are to be removed with the next sync.
    var removableBelow: SegmentNumber?

    var segment: SegmentNumber { segments[segments.count - 1] }

    /// Sectors of the batch that ends a segment: its head and its identifiers.
    static let continuationSectors: UInt32 = 2

    /// Content bytes at which a batch is written: a quarter of a segment at most, so that little
    /// of a segment stays empty when the next batch does not fit.
    var batchBytesTarget: Int { min(LogLimits.batchBytesTarget, settings.segmentBytes / 4) }

    /// Creates the first segment of a log.
    static func begin(
        device: any LogDevice, identity: LogIdentity, settings: LogSettings
    ) throws(LogDeviceError) -> LogWriter {
        let bytes = settings.segmentBytes / Sector.size * Sector.size
        let header = SegmentHeader(
            number: SegmentNumber(1), bytes: bytes, identity: identity, epoch: 0,
            firstSequence: 1, durableSequence: 0)
        try create(header, on: device)
        return LogWriter(
            device: device, identity: identity, settings: settings, segments: [header.number],
            mayLackGroups: false, dataEnd: 1,
            identifiersStart: UInt32(bytes / Sector.size), sequence: 0, durableSequence: 0,
            epoch: 0)
    }

    static func create(
        _ header: SegmentHeader, on device: any LogDevice
    ) throws(LogDeviceError) {
        let sector = header.encoded()
        let result = sector.withUnsafeBytes { raw in
            Result { () throws(LogDeviceError) in
                try device.create(header.number, bytes: header.bytes, header: raw)
            }
        }
        try result.get()
    }

    private func fits(_ batch: BatchEncoder) -> Bool {
        Int(dataEnd) + batch.dataSectors + batch.identifierSectors
            + Int(Self.continuationSectors) <= Int(identifiersStart)
    }

    /// Writes a batch, in a new segment when this one has no room for it.
    ///
    /// - Parameter checkpoint: what the new segment opens with.
    /// - Returns: where the batch stands.
    mutating func write(
        _ batch: inout BatchEncoder, kind: BatchHeader.Kind, checkpoint: () -> BatchEncoder
    ) throws(LogDeviceError) -> (SegmentNumber, UInt32) {
        if !fits(batch) { try roll(toFit: batch, checkpoint: checkpoint()) }
        // Only now: the batches of a new segment still belong to the epoch before.
        if kind == .opened { epoch += 1 }
        return try place(&batch, kind: kind)
    }

    /// Writes the first batch of the segment, which was made for it.
    mutating func begin(
        with checkpoint: inout BatchEncoder, kind: BatchHeader.Kind
    ) throws(LogDeviceError) {
        precondition(dataEnd == 1 && fits(checkpoint), "segment \(segment) holds something")
        _ = try place(&checkpoint, kind: kind)
    }

    /// Two writes: the batch behind the batches, its identifiers before the identifiers. No sector
    /// that was written before is touched.
    private mutating func place(
        _ batch: inout BatchEncoder, kind: BatchHeader.Kind
    ) throws(LogDeviceError) -> (SegmentNumber, UInt32) {
        let at = (segment: segment, sector: dataEnd)
        let dataSectors = UInt32(batch.dataSectors)
        let identifierSectors = UInt32(batch.identifierSectors)
        precondition(
            dataEnd + dataSectors + identifierSectors <= identifiersStart,
            "\(dataSectors)+\(identifierSectors) sectors between \(dataEnd), \(identifiersStart)")
        let placement = BatchEncoder.Placement(
            kind: kind, sequence: sequence + 1, epoch: epoch, durableSequence: durableSequence,
            firstSector: dataEnd, identifiersEnd: identifiersStart)
        let codec = SectorCodec(identity: identity, segment: segment)
        let device = device
        try batch.withSealed(placement, codec: codec) {
            (data, identifiers) throws(LogDeviceError) in
            try device.write(at.segment, at: Int(at.sector) * Sector.size, data)
            try device.write(
                at.segment,
                at: Int(placement.identifiersEnd - identifierSectors) * Sector.size,
                identifiers)
        }
        dataEnd += dataSectors
        identifiersStart -= identifierSectors
        sequence += 1
        return at
    }

    mutating func sync() throws(LogDeviceError) {
        guard durableSequence < sequence else { return }
        try device.sync(segment)
        durableSequence = sequence
    }

    /// Goes on in a new segment. The order makes each half-done state readable: all of the old
    /// segment is durable before the new one exists, and the new one exists before the old one says
    /// so. Without the latter the new one holds nothing and is removed when the log is opened.
    private mutating func roll(
        toFit batch: BatchEncoder, checkpoint: consuming BatchEncoder
    ) throws(LogDeviceError) {
        try sync()
        let header = SegmentHeader(
            number: segment.next, bytes: segmentBytes(for: checkpoint, and: batch),
            identity: identity, epoch: epoch, firstSequence: sequence + 2,
            durableSequence: sequence, mayLackGroups: mayLackGroups)
        try Self.create(header, on: device)
        var continued = BatchEncoder()
        _ = try place(&continued, kind: .continued)
        #if PlantedBugs
            if PlantedBug.active != .segmentLeftUnsynced { try sync() }
        #else
            try sync()
        #endif
        go(to: header)
        _ = try place(&checkpoint, kind: .checkpoint)
    }

    /// Begins anew in a segment of a higher number, whose checkpoint stands for everything before
    /// it. Nothing is written to the segments that are there.
    mutating func restart(
        in number: SegmentNumber, checkpoint: consuming BatchEncoder
    ) throws(LogDeviceError) {
        let header = SegmentHeader(
            number: number, bytes: segmentBytes(for: checkpoint, and: BatchEncoder()),
            identity: identity, epoch: epoch, firstSequence: sequence + 1,
            durableSequence: sequence, restarts: true, mayLackGroups: mayLackGroups)
        try Self.create(header, on: device)
        go(to: header)
        _ = try place(&checkpoint, kind: .restart)
    }

    private func segmentBytes(for checkpoint: BatchEncoder, and batch: BatchEncoder) -> Int {
        let sectors =
            1 + checkpoint.dataSectors + checkpoint.identifierSectors + batch.dataSectors
            + batch.identifierSectors + Int(Self.continuationSectors)
        let bytes = max(settings.segmentBytes / Sector.size, sectors) * Sector.size
        precondition(bytes <= Int(UInt32.max), "a segment of \(bytes) bytes")
        return bytes
    }

    private mutating func go(to header: SegmentHeader) {
        segments.append(header.number)
        dataEnd = 1
        identifiersStart = UInt32(header.bytes / Sector.size)
    }

    /// The standing of every group, in the order of their ids.
    static func checkpoint(of groups: [GroupID: GroupIndex]) -> BatchEncoder {
        var batch = BatchEncoder()
        for (id, group) in groups.sorted(by: { $0.key < $1.key }) {
            batch.add(group.standing, group: id)
        }
        return batch
    }

    /// Removes segments that no group needs any more. Only called when everything is durable: the
    /// checkpoint of the oldest segment that stays holds what the removed ones said of groups. It is
    /// read first: when it has rotted since it was written, those before it are all that is left of
    /// groups that have written nothing since, and stay until a later checkpoint stands for them.
    mutating func removeSegments() throws(LogDeviceError) {
        guard let end = removableBelow else { return }
        removableBelow = nil
        var kept = min(segments.prefix { $0 < end }.count, segments.count - 1)
        let reader = SegmentReader(device: device, identity: identity)
        while kept > 0, !reader.beginsWhole(segments[kept]) { kept -= 1 }
        for _ in 0..<kept {
            try device.remove(segments[0])
            segments.removeFirst()
        }
    }
}
