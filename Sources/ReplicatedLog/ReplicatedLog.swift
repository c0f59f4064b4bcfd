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
    private let index: Mutex<[GroupID: GroupIndex]>
    private let reader: SegmentReader

    init(_ writer: consuming sending LogWriter, index: [GroupID: GroupIndex]) {
        reader = SegmentReader(device: writer.device, identity: writer.identity)
        self.index = Mutex(index)
        self.writer = Mutex(writer)
    }

    // MARK: - Log thread

    /// Writes what the groups ask for, in the order of the batch, as one write where it fits.
    /// Entries can be read as soon as this returns; they are durable after the next `sync`.
    ///
    /// That a group stands in the batch once, that its entries follow its log, and that terms do
    /// not fall, are preconditions.
    ///
    /// - Throws: `device`, and from then on `poisoned`; `tooLarge` before anything is written.
    package func append(_ batch: [GroupAppend]) throws(LogError) {
        try checkSizes(batch)
        checkOrder(batch)
        try withWriter { writer throws(LogDeviceError) in
            for part in batch {
                if let state = part.hardState {
                    writer.encoder.add(state, group: part.group)
                }
                if let from = part.replaceFrom {
                    writer.encoder.add(replaceFrom: from, group: part.group)
                }
                for entry in part.entries {
                    let bytes = RecordHeader.size + entry.payloadBytes
                    let target = writer.batchBytesTarget
                    if !writer.encoder.isEmpty,
                        writer.encoder.contentBytes + bytes > target
                            || writer.encoder.recordCount >= LogLimits.batchRecordsTarget
                    {
                        try self.writeBatch(&writer)
                    }
                    writer.encoder.add(entry, group: part.group)
                }
            }
            if !writer.encoder.isEmpty { try self.writeBatch(&writer) }
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

    /// Forgets entries up to and including `through`, which the state machine has persisted.
    /// Segments that no group needs any more are removed with the next `sync`. Does nothing when
    /// they are forgotten already; `through` past the end of the log is a precondition failure.
    package func truncateLog(of group: GroupID, through: LogIndex) throws(LogError) {
        let (first, last) = bounds(of: group)
        if through < first { return }
        precondition(through <= last, "group \(group): truncate \(through) of \(first)...\(last)")
        let kept = try entries(of: group, from: through, through: through, maxBytes: 0)[0]
        try withWriter { writer throws(LogDeviceError) in
            let known = self.index.withLock { $0[group]! }
            writer.encoder.add(
                start: through, term: kept.term, timestamp: kept.timestamp,
                lastIndex: known.last, lastTerm: known.lastTerm ?? .zero, group: group)
            try self.writeBatch(&writer)
            writer.removableBelow = self.index.withLock { groups in
                let oldest = groups.values.compactMap { $0.locations.first?.segment }.min()
                return oldest.map { SegmentNumber(UInt64($0)) } ?? writer.segment
            }
        }
    }

    /// Writes a batch without records.
    func writeMark(_ kind: BatchHeader.Kind) throws(LogError) {
        try withWriter { writer throws(LogDeviceError) in
            var mark = BatchEncoder()
            _ = try writer.write(&mark, kind: kind, groups: { self.index.withLock { $0 } })
        }
    }

    /// States that the log was opened, which also proves that all before it is durable.
    func beginEpoch(
        lacksCheckpoint: Bool, groups: [GroupID: GroupIndex]
    ) throws(LogError) {
        if lacksCheckpoint {
            try withWriter { writer throws(LogDeviceError) in
                var checkpoint = LogWriter.checkpoint(of: groups)
                _ = try writer.write(&checkpoint, kind: .checkpoint, groups: { groups })
            }
        }
        try writeMark(.opened)
        try sync()
    }

    private func writeBatch(_ writer: inout LogWriter) throws(LogDeviceError) {
        var batch = BatchEncoder()
        swap(&batch, &writer.encoder)
        let (segment, sector) = try writer.write(
            &batch, kind: .records, groups: { self.index.withLock { $0 } })
        apply(batch.changes, segment: segment, sector: sector)
        batch.removeAll()
        swap(&batch, &writer.encoder)
    }

    private func apply(
        _ changes: [BatchEncoder.Change], segment: SegmentNumber, sector: UInt32
    ) {
        index.withLock { groups in
            for (group, change) in changes.lazy.map({ ($0.group, $0.change) }) {
                var change = change
                if case .entry(let index, let term, let location) = change {
                    change = .entry(index, term, location.placed(in: segment, at: sector))
                }
                let follows = groups[group, default: GroupIndex()].apply(change)
                precondition(follows, "group \(group): \(change) does not follow")
            }
        }
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
        }
    }

    private func checkOrder(_ batch: [GroupAppend]) {
        index.withLock { groups in
            var seen: Set<GroupID> = []
            for part in batch {
                let id = part.group
                precondition(seen.insert(id).inserted, "group \(id) twice in one batch")
                let group = groups[id] ?? GroupIndex()
                if let state = part.hardState {
                    precondition(
                        state.term >= group.hardState.term,
                        "group \(id): term \(group.hardState.term) falls to \(state.term)")
                }
                if let from = part.replaceFrom {
                    precondition(
                        from > group.start && from <= group.last.next,
                        "group \(id): replace from \(from) in \(group.start)...\(group.last)")
                }
                var next = part.replaceFrom ?? group.last.next
                var term = group.term(of: next.previous) ?? .zero
                for entry in part.entries {
                    precondition(
                        entry.index == next && entry.term >= term,
                        "group \(id): entry \(entry.index) of term \(entry.term) where "
                            + "\(next) of term \(term) or later follows")
                    next = next.next
                    term = entry.term
                }
            }
            precondition(
                groups.count + seen.count(where: { groups[$0] == nil }) <= LogLimits.groupsMax,
                "more than \(LogLimits.groupsMax) groups")
        }
    }

    // MARK: - Any thread

    /// Entries from `from` through at most `through`, as many as fit into `maxBytes` of payload,
    /// and at least one. Checksums and identity are verified on every read.
    ///
    /// - Throws: `unavailable` when `from` is not in the log or `through` is past its end.
    package func entries(
        of group: GroupID, from: LogIndex, through: LogIndex, maxBytes: Int
    ) throws(LogError) -> [LogEntry] {
        precondition(from <= through, "entries \(from)...\(through) of group \(group)")
        let (locations, terms) = try index.withLock { groups throws(LogError) in
            let known = groups[group] ?? GroupIndex()
            guard known.contains(from), known.contains(through) else {
                throw .unavailable(
                    group: group, index: known.contains(from) ? through : from,
                    first: known.base.next, last: known.last)
            }
            var locations: [EntryLocation] = []
            var terms: [Term] = []
            var bytes = 0
            var next = from
            while next <= through {
                let location = known.location(of: next)
                bytes += Int(location.length) - RecordHeader.size
                if bytes > maxBytes, !locations.isEmpty { break }
                locations.append(location)
                terms.append(known.term(of: next) ?? .zero)
                next = next.next
            }
            return (locations, terms)
        }
        do {
            return try reader.entries(of: group, from: from, terms: terms, at: locations)
        } catch {
            // The log thread may have replaced or truncated entries, and removed their segment,
            // between the look-up and the read. What is still in its place did fail.
            try checkInPlace(locations, of: group, from: from)
            throw error
        }
    }

    private func checkInPlace(
        _ locations: [EntryLocation], of group: GroupID, from: LogIndex
    ) throws(LogError) {
        try index.withLock { groups throws(LogError) in
            let known = groups[group] ?? GroupIndex()
            for (offset, location) in locations.enumerated() {
                let index = from + UInt64(offset)
                guard known.contains(index), known.location(of: index) == location else {
                    throw .unavailable(
                        group: group, index: index, first: known.base.next, last: known.last)
                }
            }
        }
    }

    /// The first and last index of a group's log; first is one past last when it is empty.
    package func bounds(of group: GroupID) -> (first: LogIndex, last: LogIndex) {
        index.withLock { groups in
            let known = groups[group] ?? GroupIndex()
            return (known.base.next, known.last)
        }
    }
}
