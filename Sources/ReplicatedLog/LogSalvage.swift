import Primitives

/// Reads a damaged log: all that is intact of each group, and a name for what is not. Nothing is
/// written (`docs/formats/log-segment.md`, "Salvage").
struct LogSalvage: Sendable {
    /// A segment at a glance.
    private struct Glance {
        var number: SegmentNumber
        var header: SegmentHeader?
        var restarts: Bool
        /// The sequence of its first batch, when something tells.
        var firstSequence: UInt64?
        var claim: UInt64
        var isEmpty: Bool
    }

    let device: any LogDevice
    let identity: LogIdentity

    private(set) var salvagedGroups: [GroupID: SalvagedGroup] = [:]
    private(set) var report = RecoveryReport()
    private(set) var segments: [SegmentNumber] = []
    private(set) var discarded: SegmentNumber?
    /// The highest sequence and epoch that anything speaks of.
    private(set) var sequenceMax: UInt64 = 0
    private(set) var epochMax: UInt64 = 0
    /// Sectors of batches that are returned although nothing states that they had been synced.
    private(set) var unproven: [(segment: SegmentNumber, sectors: [Int])] = []
    private var glances: [Glance] = []
    /// The sequence that comes next, `nil` before the first batch.
    private var next: UInt64?

    init(device: any LogDevice, identity: LogIdentity) {
        self.device = device
        self.identity = identity
    }

    /// The segment with which the log begins anew.
    var nextSegment: SegmentNumber {
        segments.last?.next ?? discarded ?? SegmentNumber(1)
    }

    /// Writes the batches again, byte for byte, that nothing states as synced, and syncs them.
    func makeDurable() throws(LogDeviceError) {
        var touched: [SegmentNumber] = []
        for (segment, sectors) in unproven {
            for sector in sectors {
                var bytes = Bytes(repeating: 0, count: Sector.size)
                let device = device
                let outcome = bytes.withUnsafeMutableBytes { raw in
                    Result { () throws(LogDeviceError) in
                        try device.read(segment, at: sector * Sector.size, into: raw)
                        try device.write(
                            segment, at: sector * Sector.size, UnsafeRawBufferPointer(raw))
                    }
                }
                try outcome.get()
            }
            if touched.last != segment { touched.append(segment) }
        }
        for segment in touched { try device.sync(segment) }
    }

    var groups: [GroupID: GroupIndex] {
        salvagedGroups.filter { !$0.value.isGone }.mapValues(\.index)
    }

    mutating func read() throws(LogError) {
        try glance()
        if glances.isEmpty { report.mayLackGroups = true }
        for position in glances.indices { try read(position) }
        for id in salvagedGroups.keys.sorted() { salvagedGroups[id]!.finish() }
    }

    // MARK: - Segments

    private mutating func glance() throws(LogError) {
        let listed: [LogDeviceSegment]
        do { listed = try device.listSegments() } catch { throw .device(error) }
        let reader = LenientReader(device: device, identity: identity)
        for found in listed {
            let survey = SegmentSurvey(try reader.image(of: found))
            let header = try survey.image.header()
            if let header, header.identity != identity {
                throw .foreign(
                    expected: identity, found: header.identity, segment: found.number)
            }
            let first = survey.batches.first
            let restarts = header?.restarts ?? (first?.kind == .restart)
            if restarts, found.number == listed.last?.number, survey.isUnfinishedRestart {
                discarded = found.number
                report.discardedSegment = found.number
                break
            }
            var firstSequence = header?.firstSequence
            if firstSequence == nil, let first, first.firstSector == 1 {
                firstSequence = first.sequence
            } else if firstSequence == nil, found.number == SegmentNumber(1) {
                firstSequence = 1
            }
            glances.append(
                Glance(
                    number: found.number, header: header, restarts: restarts,
                    firstSequence: firstSequence,
                    claim: max(survey.claim, header?.durableSequence ?? 0),
                    isEmpty: survey.isEmpty))
            segments.append(found.number)
            let spoken = max(survey.sequenceMax, survey.claim, header?.firstSequence ?? 0)
            sequenceMax = max(sequenceMax, spoken)
            epochMax = max(epochMax, survey.epochMax, header?.epoch ?? 0)
            report.segments += 1
        }
    }

    /// The highest batch before the end of segment `position` that it or those behind it state as
    /// synced. A segment that begins anew says nothing of what is before it.
    private func claim(at position: Int) -> UInt64 {
        var claim = glances[position].claim
        for later in glances[(position + 1)...] {
            if later.restarts { break }
            claim = max(claim, later.claim)
            if !later.isEmpty, let first = later.firstSequence {
                claim = max(claim, max(first, 1) - 1)
            }
        }
        return claim
    }

    private mutating func read(_ position: Int) throws(LogError) {
        let glance = glances[position]
        beginSegment(position)
        let survey = SegmentSurvey(
            try LenientReader(device: device, identity: identity).image(of: glance.number))
        if glance.header == nil, !glance.isEmpty { note(.segmentHeader, glance.number, sector: 0) }
        var reader = SalvageCursor(
            survey: survey, claim: claim(at: position),
            isSuccessorKnown: position + 1 < glances.count && !glances[position + 1].restarts)
        if next == nil { next = survey.batches.first?.sequence }
        for batch in survey.batches {
            guard let expected = next, batch.sequence >= expected else { continue }
            if batch.sequence > expected {
                // The first batch of a segment is its checkpoint: what it restated is known, or in
                // doubt, already.
                let isCheckpoint =
                    expected == glance.firstSequence && batch.sequence == expected + 1
                    && glance.number > SegmentNumber(1)
                switch reader.judgeMissing(expected) {
                case .torn: return noteTorn(reader)
                case .lost:
                    note(.syncedSectorLost, glance.number, sector: reader.dataEnd)
                    if !isCheckpoint { doubt(.recordsLost) }
                }
            }
            guard take(batch, &reader, glance) else { return noteTorn(reader) }
            next = batch.sequence + 1
        }
        if glance.header == nil, survey.batches.isEmpty {
            // Segments are made with their header: of this one nothing can be told.
            if glance.isEmpty { note(.segmentHeader, glance.number, sector: 0) }
            doubt(.segmentLost)
        }
        finishSegment(position, reader)
    }

    private mutating func beginSegment(_ position: Int) {
        let glance = glances[position]
        if position == 0 {
            if glance.number > SegmentNumber(1) { doubt(.segmentLost) }
            next = glance.firstSequence
            return
        }
        if glance.number != glances[position - 1].number.next {
            note(.segmentMissing, glances[position - 1].number.next, sector: 0)
            doubt(.segmentLost)
            next = glance.firstSequence
        } else if glance.restarts {
            next = glance.firstSequence
        } else if let first = glance.firstSequence, first > next ?? 0 {
            // Its predecessor has said what is missing in between.
            next = first
        }
    }

    /// - Returns: `false` when the batch is a torn one: the log ends before it.
    private mutating func take(
        _ batch: BatchRemains, _ reader: inout SalvageCursor, _ glance: Glance
    ) -> Bool {
        let batch = reader.placed(batch)
        let reading = reader.survey.read(batch)
        if !reading.isWhole, !reading.isRotten, reader.claim < batch.sequence { return false }
        let isCheckpoint = batch.kind == .checkpoint || batch.kind == .restart
        var damage: [LogCorruption.Damage] = []
        var named: Set<GroupID> = []
        var isUnknown = false
        for record in reading.records {
            switch record {
            case .intact(let id, let change):
                with(id) { $0.take(change) }
                named.insert(id)
            case .lost(let identifier):
                with(identifier.group) { $0.takeLost(identifier) }
                named.insert(identifier.group)
                let range = identifier.index...identifier.index
                damage.append(
                    .init(
                        group: identifier.group, indexes: identifier.kind.isEntry ? range : nil))
            case .unknown:
                isUnknown = true
                if !isCheckpoint { doubt(.recordsLost) }
            }
        }
        if isCheckpoint, !isUnknown {
            if let header = glance.header { report.mayLackGroups = header.mayLackGroups }
            // All groups are in it: one that is not was forgotten by a record that is lost, or by
            // an earlier salvage.
            for id in salvagedGroups.keys.sorted() where !named.contains(id) {
                salvagedGroups[id]!.remove()
                if report.mayLackGroups { salvagedGroups[id]!.doubt(.recordsLost) }
            }
        }
        if batch.kind == .complete { report.mayLackGroups = false }
        if let sector = reading.lostSectors.min() {
            note(
                reading.isRotten ? .sectorRotten : .syncedSectorLost, glance.number,
                sector: sector, damage: LogCorruption.Damage.merged(damage))
        }
        if batch.sequence > reader.claim {
            unproven.append((glance.number, reader.sectors(of: batch)))
        }
        report.batches += 1
        report.records += reading.records.count
        reader.pass(batch)
        return true
    }

    private mutating func finishSegment(_ position: Int, _ reader: SalvageCursor) {
        let glance = glances[position]
        if reader.isSuccessorKnown, glances[position + 1].number != glance.number.next {
            // The next one says what is missing in between.
            return
        }
        guard let expected = next else {
            // Nothing tells anything of this segment.
            if !glance.isEmpty || reader.claim > 0 { doubt(.recordsLost) }
            return
        }
        if reader.isSuccessorKnown {
            // Behind the last batch but *continued*, which holds nothing, all is in the successor.
            let first = glances[position + 1].firstSequence
            if let first, first <= expected + 1 {
                if first == expected + 1, !glances[position + 1].isEmpty {
                    note(.syncedSectorLost, glance.number, sector: reader.dataEnd)
                }
                return
            }
            if glances[position + 1].isEmpty, first == nil { return finishLog(reader, glance) }
            note(.syncedSectorLost, glance.number, sector: reader.dataEnd)
            return doubt(.recordsLost)
        }
        if reader.lastKind == .continued {
            // What a restart follows may have been lost and salvaged before it was written.
            note(.segmentMissing, glance.number.next, sector: 0)
            return doubt(.segmentLost)
        }
        finishLog(reader, glance)
    }

    private mutating func finishLog(_ reader: SalvageCursor, _ glance: Glance) {
        guard let expected = next, case .lost = reader.judgeMissing(expected) else { return }
        note(.syncedSectorLost, glance.number, sector: reader.dataEnd)
        doubt(.recordsLost)
    }

    // MARK: - Notes

    private mutating func with(_ id: GroupID, _ body: (inout SalvagedGroup) -> Void) {
        if salvagedGroups[id] == nil {
            var new = SalvagedGroup()
            if report.mayLackGroups { new.doubt(.recordsLost) }
            salvagedGroups[id] = new
        }
        body(&salvagedGroups[id]!)
    }

    private mutating func doubt(_ reason: LogDistrust) {
        for id in salvagedGroups.keys.sorted() { salvagedGroups[id]!.doubt(reason) }
        report.mayLackGroups = true
    }

    private mutating func note(
        _ reason: LogCorruption.Reason, _ segment: SegmentNumber, sector: Int,
        damage: [LogCorruption.Damage] = []
    ) {
        report.salvaged.append(
            LogCorruption(
                reason: reason, segment: segment, offset: sector * Sector.size, damage: damage))
    }

    private mutating func noteTorn(_ reader: SalvageCursor) {
        report.tornTail = .init(
            segment: reader.survey.image.number, offset: reader.dataEnd * Sector.size,
            droppedBytes: 0)
    }
}
