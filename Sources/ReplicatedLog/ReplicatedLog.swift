import Primitives
import Synchronization

/// The log of all groups of a node: one sequence of batches in preallocated segments, one sync for
/// every group that is ready (DESIGN, decision 7). The format, and how a torn tail and rot are told
/// apart, is `docs/formats/log-segment.md`.
///
/// Threads: `append`, `sync`, `seal` and `truncateLog` come from one thread, the log thread.
/// `entries` and `bounds` may come from any thread at any time. The two mutexes follow from that:
/// `writer` is held over device writes and is never contended, `index` is held for moments only and
/// is never held over a device call. `writer` is taken first.
package final class ReplicatedLog: Sendable {
    private let writer: Mutex<LogWriter>
    private let index: Mutex<GroupTable>
    private let reader: SegmentReader

    init(
        _ writer: consuming sending LogWriter, groups: [GroupID: GroupIndex],
        cleared: Set<GroupID> = []
    ) {
        reader = SegmentReader(device: writer.device, identity: writer.identity)
        index = Mutex(
            GroupTable(groups, mayLackGroups: writer.mayLackGroups, cleared: cleared))
        self.writer = Mutex(writer)
    }

    // MARK: - Log thread

    /// Writes what the groups ask for, in the order of the batch, as one write where it fits.
    /// Entries can be read as soon as this returns; they are durable after the next `sync`.
    /// Segments that no group needs any more are removed with the next `sync`.
    ///
    /// That each part follows from what its group holds is a precondition (`GroupOutline`).
    ///
    /// - Throws: `device`, and from then on `poisoned`; `tooLarge` before anything is written.
    package func append(_ batch: [GroupAppend]) throws(LogError) {
        try checkSizes(batch)
        let orders = checkOrder(batch)
        try withWriter { writer throws(LogDeviceError) in
            for (part, order) in zip(batch, orders) {
                if part.isReset || order.needsReset { writer.encoder.addReset(of: part.group) }
                if let start = part.start, let last = order.start {
                    writer.encoder.add(start, last: last, group: part.group)
                }
                if let state = part.hardState {
                    writer.encoder.add(state, group: part.group)
                }
                if let from = part.replaceFrom {
                    writer.encoder.add(replaceFrom: from, group: part.group)
                }
                for entry in part.entries {
                    try self.makeRoom(for: entry.payloadBytes, &writer)
                    writer.encoder.add(entry, group: part.group)
                }
                for entry in part.repaired {
                    try self.makeRoom(for: entry.payloadBytes, &writer)
                    writer.encoder.add(entry, isRepair: true, group: part.group)
                }
                for peer in part.peers { writer.encoder.add(peer, group: part.group) }
                if part.isTrustedAgain { writer.encoder.addTrust(in: part.group) }
                try self.makeRoom(for: 0, &writer)
            }
            if !writer.encoder.isEmpty { try self.writeBatch(&writer) }
            if batch.contains(where: \.mayFreeSegments) {
                writer.removableBelow = self.index.withLock { $0.oldestSegment } ?? writer.segment
            }
        }
    }

    /// Makes everything appended so far durable, with one device sync. Does nothing when there is
    /// nothing new. A sync that failed is never tried again: pages may have been dropped, and a
    /// second sync would report success without them.
    package func sync() throws(LogError) {
        try withWriter { writer throws(LogDeviceError) in
            try writer.sync()
            try writer.removeSegments()
        }
    }

    /// Writes and syncs an empty batch which proves that all before it was synced: from then on
    /// even a lost write at the end of the log is told from a torn tail. For a clean stop, and for
    /// a log that has been idle for a while.
    package func seal() throws(LogError) {
        try sync()
        try writeMark(.seal)
        try sync()
    }

    /// Writes to a copy of the device what `seal` would write to the device. For a simulator that asks
    /// what becomes of damage once the log goes on.
    package func seal(on copy: any LogDevice) throws(LogError) {
        var writer = writer.withLock { $0 }
        if let cause = writer.poison { throw .poisoned(cause) }
        writer.device = copy
        var mark = BatchEncoder()
        do throws(LogDeviceError) {
            try writer.sync()
            _ = try writer.write(&mark, kind: .seal, checkpoint: checkpoint)
            try writer.sync()
        } catch {
            throw .device(error)
        }
    }

    /// Settles, after each opening and before anything else is appended but beginnings, which groups
    /// the log lacks.
    ///
    /// - Parameter seats: the groups that this node has a replica in, each of which has begun here
    ///   (`GroupAppend.beginning(of:)`). The shell keeps that list outside the log: on it a seat is
    ///   *to begin* before the log is told, and *seated* only once its beginning is durable. One that
    ///   is to begin still, begins again first.
    /// - Returns: those that the log has forgotten, distrusted. When groups may have been forgotten
    ///   (`RecoveryReport.mayLackGroups`) that is written down, and then the log lacks none any more;
    ///   otherwise nothing is, and each opening finds it again. Durable when this returns.
    package func declareComplete(
        seats: [GroupID]
    ) throws(LogError) -> [GroupID: RecoveredGroup] {
        let (lacking, mayLack) = index.withLock { table in
            (seats.filter { table.groups[$0] == nil }.sorted(), table.mayLackGroups)
        }
        if mayLack {
            // Its first record without a reset: the group is listed from now on, and distrusted.
            try append(lacking.map { GroupAppend(group: $0, hardState: HardState()) })
            try sync()
            try writeMark(.complete)
            try withWriter { $0.mayLackGroups = false }
            index.withLock { $0.mayLackGroups = false }
            try sync()
        }
        var forgotten: [GroupID: RecoveredGroup] = [:]
        for group in lacking {
            forgotten[group] = RecoveredGroup(group: group, distrust: .recordsLost)
        }
        return forgotten
    }

    /// `GroupAppend.start` for entries that the log can read: forgets entries up to and including
    /// `through`, with the newest configuration among them. Does nothing when they are forgotten
    /// already; `through` past the end of the log is a precondition failure.
    package func truncateLog(of group: GroupID, through: LogIndex) throws(LogError) {
        let known = index.withLock { $0.groups[group] ?? GroupIndex() }
        if through <= known.start.index { return }
        precondition(
            through <= known.last,
            "group \(group): truncate \(through) of \(known.start.index.next)...\(known.last)")
        let kept = try entries(of: group, from: through, through: through, maxBytes: 0)[0]
        var start = known.start
        (start.index, start.term, start.timestamp) = (through, kept.term, kept.timestamp)
        if let newest = known.configurations.last(where: { $0 <= through }) {
            let entry = try entries(of: group, from: newest, through: newest, maxBytes: 0)[0]
            if case .configuration(let configuration) = entry.payload {
                (start.configuration, start.configurationIndex) = (configuration, newest)
            }
        }
        try append([GroupAppend(group: group, start: start)])
    }

    /// Writes a batch without records.
    func writeMark(_ kind: BatchHeader.Kind) throws(LogError) {
        try withWriter { writer throws(LogDeviceError) in
            var mark = BatchEncoder()
            _ = try writer.write(&mark, kind: kind, checkpoint: self.checkpoint)
        }
    }

    /// States that the log was opened, which also proves that all before it is durable.
    func beginEpoch(lacksCheckpoint: Bool) throws(LogError) {
        if lacksCheckpoint {
            try withWriter { writer throws(LogDeviceError) in
                var checkpoint = self.checkpoint()
                _ = try writer.write(&checkpoint, kind: .checkpoint, checkpoint: self.checkpoint)
            }
        }
        try writeMark(.opened)
        try sync()
    }

    private func checkpoint() -> BatchEncoder {
        LogWriter.checkpoint(of: index.withLock { $0.groups })
    }

    /// Writes what has been collected when an entry of this size would make too much of it.
    private func makeRoom(
        for payloadBytes: Int, _ writer: inout LogWriter
    ) throws(LogDeviceError) {
        let bytes = writer.encoder.contentBytes + RecordHeader.size + payloadBytes
        if !writer.encoder.isEmpty,
            bytes > writer.batchBytesTarget
                || writer.encoder.recordCount >= LogLimits.batchRecordsTarget
        {
            try writeBatch(&writer)
        }
    }

    private func writeBatch(_ writer: inout LogWriter) throws(LogDeviceError) {
        var batch = BatchEncoder()
        swap(&batch, &writer.encoder)
        let (segment, sector) = try writer.write(
            &batch, kind: .records, checkpoint: checkpoint)
        index.withLock { table in
            for change in batch.changes {
                table.apply(change.change.placed(in: segment, at: sector), to: change.group)
            }
        }
        batch.removeAll()
        swap(&batch, &writer.encoder)
    }

    /// Runs what writes. Its first failure is its last: what reached the disk is then unknown.
    private func withWriter(
        _ body: (inout LogWriter) throws(LogDeviceError) -> Void
    ) throws(LogError) {
        try writer.withLock { writer throws(LogError) in
            if let cause = writer.poison { throw .poisoned(cause) }
            do throws(LogDeviceError) {
                try body(&writer)
            } catch {
                writer.poison = error
                throw .device(error)
            }
        }
    }

    private func checkSizes(_ batch: [GroupAppend]) throws(LogError) {
        for part in batch {
            for entry in part.entries where entry.payloadBytes > LogLimits.payloadBytesMax {
                throw .tooLarge(bytes: entry.payloadBytes, limit: LogLimits.payloadBytesMax)
            }
            for entry in part.repaired where entry.payloadBytes > LogLimits.payloadBytesMax {
                throw .tooLarge(bytes: entry.payloadBytes, limit: LogLimits.payloadBytesMax)
            }
            if let bytes = part.start?.configuration.count, bytes > LogLimits.payloadBytesMax {
                throw .tooLarge(bytes: bytes, limit: LogLimits.payloadBytesMax)
            }
        }
    }

    /// - Returns: for each part, what `GroupOutline.take` and `GroupTable.needsReset` return.
    private func checkOrder(
        _ batch: [GroupAppend]
    ) -> [(start: (index: LogIndex, term: Term)?, needsReset: Bool)] {
        index.withLock { table in
            var outlines: [GroupID: GroupOutline] = [:]
            var new = 0
            var orders: [(start: (index: LogIndex, term: Term)?, needsReset: Bool)] = []
            orders.reserveCapacity(batch.count)
            for part in batch {
                let id = part.group
                let isFirst = outlines[id] == nil
                if isFirst {
                    let known = table.groups[id]
                    if known == nil { new += 1 }
                    outlines[id] = GroupOutline(id, known ?? GroupIndex())
                }
                orders.append((outlines[id]!.take(part), isFirst && table.needsReset(id)))
            }
            precondition(
                table.groups.count + new <= LogLimits.groupsMax,
                "more than \(LogLimits.groupsMax) groups")
            return orders
        }
    }

    // MARK: - Any thread

    /// Entries from `from` through at most `through`, as many as fit into `maxBytes` of payload and
    /// can be read, and at least one. Checksums and identity are verified on every read.
    ///
    /// - Throws: `unavailable` when `from` is not in the log or `through` is past its end;
    ///   `corruption` that names entry `from` when its content is lost.
    package func entries(
        of group: GroupID, from: LogIndex, through: LogIndex, maxBytes: Int
    ) throws(LogError) -> [LogEntry] {
        precondition(from <= through, "entries \(from)...\(through) of group \(group)")
        let (locations, terms) = try locate(group, from, through, maxBytes: maxBytes)
        do {
            return try reader.entries(of: group, from: from, terms: terms, at: locations)
        } catch {
            // The log thread may have replaced or truncated entries, and removed their segment,
            // between the look-up and the read. What is still in its place did fail.
            try checkInPlace(locations, of: group, from: from)
            guard locations.count > 1 else { throw error }
        }
        // Something among them failed. One by one it gets its name, and does not keep others back.
        var entries: [LogEntry] = []
        for position in locations.indices {
            let index = from + UInt64(position)
            do {
                entries += try reader.entries(
                    of: group, from: index, terms: [terms[position]], at: [locations[position]])
            } catch {
                try checkInPlace([locations[position]], of: group, from: index)
                if entries.isEmpty { throw error }
                break
            }
        }
        return entries
    }

    private func locate(
        _ group: GroupID, _ from: LogIndex, _ through: LogIndex, maxBytes: Int
    ) throws(LogError) -> ([EntryLocation], [Term]) {
        try index.withLock { table throws(LogError) in
            let known = table.groups[group] ?? GroupIndex()
            guard known.contains(from), known.contains(through) else {
                throw .unavailable(
                    group: group, index: known.contains(from) ? through : from,
                    first: known.start.index.next, last: known.last)
            }
            var locations: [EntryLocation] = []
            var terms: [Term] = []
            var bytes = 0
            var next = from
            while next <= through {
                let location = known.location(of: next)
                if location.isDamaged { break }
                bytes += Int(location.length) - RecordHeader.size
                if bytes > maxBytes, !locations.isEmpty { break }
                locations.append(location)
                terms.append(known.term(of: next))
                next = next.next
            }
            guard !locations.isEmpty else {
                throw .corruption(
                    LogCorruption(
                        reason: .entryDamaged, segment: SegmentNumber(0), offset: 0,
                        damage: [.init(group: group, indexes: from...from)]))
            }
            return (locations, terms)
        }
    }

    private func checkInPlace(
        _ locations: [EntryLocation], of group: GroupID, from: LogIndex
    ) throws(LogError) {
        try index.withLock { table throws(LogError) in
            let known = table.groups[group] ?? GroupIndex()
            for (offset, location) in locations.enumerated() {
                let index = from + UInt64(offset)
                guard known.contains(index), known.location(of: index) == location else {
                    throw .unavailable(
                        group: group, index: index, first: known.start.index.next,
                        last: known.last)
                }
            }
        }
    }

    /// A read has met an entry whose content is lost: from now on it counts as damaged, until
    /// `GroupAppend.repaired` brings it back. Not written down: opening the log finds it again.
    package func noteDamage(of group: GroupID, at index: LogIndex) {
        self.index.withLock { $0.noteDamage(of: group, at: index) }
    }

    /// As `RecoveredGroup.damaged`, now.
    package func damaged(of group: GroupID) -> [ClosedRange<LogIndex>] {
        index.withLock { $0.groups[group]?.damaged ?? [] }
    }

    /// The first and last index of a group's log; first is one past last when it is empty.
    package func bounds(of group: GroupID) -> (first: LogIndex, last: LogIndex) {
        index.withLock { table in
            let known = table.groups[group] ?? GroupIndex()
            return (known.start.index.next, known.last)
        }
    }
}

extension GroupAppend {
    /// Whether entries go, or go elsewhere.
    fileprivate var mayFreeSegments: Bool {
        isReset || start != nil || replaceFrom != nil || !repaired.isEmpty
    }
}

extension IndexChange {
    /// The change once the batch has its place.
    func placed(in segment: SegmentNumber, at sector: UInt32) -> IndexChange {
        switch self {
        case .entry(var place):
            place.location = place.location.placed(in: segment, at: sector)
            return .entry(place)
        case .repaired(var place):
            place.location = place.location.placed(in: segment, at: sector)
            return .repaired(place)
        case .reset, .start, .hardState, .replaceFrom, .peer, .trusted, .standing: return self
        }
    }
}
