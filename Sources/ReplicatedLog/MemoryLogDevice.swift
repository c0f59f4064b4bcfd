import Primitives
import Synchronization

/// A log device in memory that loses what a disk may lose. For tests and the simulator.
///
/// Fault model:
/// - Synced and unsynced bytes are kept apart, sector by sector. `crash(seed:)` gives each sector
///   that has unsynced writes one of its states since the last sync, the synced one included,
///   whatever the order of the writes: whole batches are lost, torn, or kept behind lost ones.
///   Sectors themselves are never torn.
/// - `create` and `remove` are durable and atomic, as `LogDevice` promises.
/// - `flipBit` and `overwrite` are rot: they change synced and unsynced bytes alike.
/// - `fail` makes operations fail with an error. A write that fails may have reached a prefix of
///   its sectors. A sync that fails loses what it should have made durable: later reads still see
///   it, as from a page cache that marks failed pages clean, but no later sync carries it.
///
/// Shared between the log thread and readers; a test may also hurt it meanwhile.
package final class MemoryLogDevice: LogDevice {
    /// What `fail` makes fail.
    package struct Fault: Sendable {
        package var operation: LogDeviceError.Operation
        package var errorNumber: Int32
        /// Operations of this kind that still succeed before it.
        package var after: Int
        /// How many fail then.
        package var times: Int

        package init(
            _ operation: LogDeviceError.Operation, errorNumber: Int32 = 5, after: Int = 0,
            times: Int = 1
        ) {
            self.operation = operation
            self.errorNumber = errorNumber
            self.after = after
            self.times = times
        }
    }

    fileprivate struct Segment {
        /// What a crash cannot take.
        var durable: Bytes
        /// What reads see.
        var current: Bytes
        /// Contents of sectors written since the last sync, oldest first.
        var unsynced: [Int: [Bytes]] = [:]
    }

    private struct State {
        var segments: [SegmentNumber: Segment] = [:]
        var faults: [Fault] = []
        var counts: [LogDeviceError.Operation: Int] = [:]
    }

    private let state: Mutex<State>

    package init() { state = Mutex(State()) }

    private init(_ state: consuming State) { self.state = Mutex(state) }

    /// A device of its own with the same segments and no faults.
    package func copy() -> MemoryLogDevice {
        let segments = state.withLock { $0.segments }
        return MemoryLogDevice(State(segments: segments))
    }

    // MARK: - LogDevice

    package func listSegments() throws(LogDeviceError) -> [LogDeviceSegment] {
        try state.withLock { state throws(LogDeviceError) in
            try Self.begin(.list, nil, &state)
            return state.segments.sorted { $0.key < $1.key }.map {
                LogDeviceSegment(number: $0.key, bytes: $0.value.current.count)
            }
        }
    }

    package func create(
        _ segment: SegmentNumber, bytes: Int, header: UnsafeRawBufferPointer
    ) throws(LogDeviceError) {
        let content = Bytes(header) + Bytes(repeating: 0, count: bytes - header.count)
        try state.withLock { state throws(LogDeviceError) in
            try Self.begin(.create, segment, &state)
            precondition(state.segments[segment] == nil, "segment \(segment) exists")
            state.segments[segment] = Segment(durable: content, current: content)
        }
    }

    package func read(
        _ segment: SegmentNumber, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(LogDeviceError) {
        let bytes = try state.withLock { state throws(LogDeviceError) in
            try Self.begin(.read, segment, &state)
            let known = try Self.find(segment, .read, state)
            guard offset + buffer.count <= known.current.count else {
                throw LogDeviceError(
                    .read, segment: segment, errorNumber: 0, detail: "past the end")
            }
            return known.current[offset..<offset + buffer.count]
        }
        buffer.copyBytes(from: bytes)
    }

    package func write(
        _ segment: SegmentNumber, at offset: Int, _ bytes: UnsafeRawBufferPointer
    ) throws(LogDeviceError) {
        let content = Bytes(bytes)
        precondition(
            offset % Sector.size == 0 && content.count % Sector.size == 0,
            "\(content.count) bytes at \(offset) are not whole sectors")
        try state.withLock { state throws(LogDeviceError) in
            var written = content[...]
            var failure: LogDeviceError?
            do throws(LogDeviceError) {
                try Self.begin(.write, segment, &state)
            } catch {
                failure = error
                written = content[..<(content.count / Sector.size / 2 * Sector.size)]
            }
            let size = try Self.find(segment, .write, state).current.count
            precondition(
                offset + content.count <= size,
                "\(content.count) bytes at \(offset) of \(size)")
            state.segments[segment]!.write(written, at: offset)
            if let failure { throw failure }
        }
    }

    package func sync(_ segment: SegmentNumber) throws(LogDeviceError) {
        try state.withLock { state throws(LogDeviceError) in
            _ = try Self.find(segment, .sync, state)
            do throws(LogDeviceError) {
                try Self.begin(.sync, segment, &state)
            } catch {
                state.segments[segment]!.unsynced = [:]
                throw error
            }
            state.segments[segment]!.sync()
        }
    }

    package func remove(_ segment: SegmentNumber) throws(LogDeviceError) {
        try state.withLock { state throws(LogDeviceError) in
            try Self.begin(.remove, segment, &state)
            _ = try Self.find(segment, .remove, state)
            state.segments[segment] = nil
        }
    }

    private static func find(
        _ segment: SegmentNumber, _ operation: LogDeviceError.Operation, _ state: borrowing State
    ) throws(LogDeviceError) -> Segment {
        guard let known = state.segments[segment] else {
            throw LogDeviceError(
                operation, segment: segment, errorNumber: 2, detail: "no such segment")
        }
        return known
    }

    /// Counts the operation and fails it when a fault says so.
    private static func begin(
        _ operation: LogDeviceError.Operation, _ segment: SegmentNumber?, _ state: inout State
    ) throws(LogDeviceError) {
        state.counts[operation, default: 0] += 1
        guard let i = state.faults.firstIndex(where: { $0.operation == operation }) else { return }
        if state.faults[i].after > 0 {
            state.faults[i].after -= 1
            return
        }
        let fault = state.faults[i]
        state.faults[i].times -= 1
        if state.faults[i].times <= 0 { state.faults.remove(at: i) }
        throw LogDeviceError(
            operation, segment: segment, errorNumber: fault.errorNumber, detail: "injected")
    }
}

// MARK: - Harm

extension MemoryLogDevice {
    /// Stops the power. What was not synced is lost, torn or kept, as the seed decides; pending
    /// faults are forgotten.
    package func crash(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        state.withLock { state in
            state.faults = []
            // Some crashes lose everything or nothing, most lose something.
            let keep = Int.random(in: 0...4, using: &generator)
            for number in state.segments.keys.sorted() {
                state.segments[number]!.crash(keepingQuarters: keep, using: &generator)
            }
        }
    }

    /// Forgets faults that have not struck.
    package func clearFaults() { state.withLock { $0.faults = [] } }

    package func fail(_ fault: Fault) { state.withLock { $0.faults.append(fault) } }

    package func flipBit(_ segment: SegmentNumber, byte: Int, bit: Int) {
        state.withLock { state in
            state.segments[segment]!.durable[byte] ^= 1 << UInt8(bit)
            state.segments[segment]!.current[byte] ^= 1 << UInt8(bit)
        }
    }

    package func overwrite(_ segment: SegmentNumber, at offset: Int, _ bytes: Bytes) {
        state.withLock { state in
            state.segments[segment]!.durable.replaceSubrange(
                offset..<offset + bytes.count, with: bytes)
            state.segments[segment]!.current.replaceSubrange(
                offset..<offset + bytes.count, with: bytes)
        }
    }

    /// Cuts a segment short.
    package func truncate(_ segment: SegmentNumber, bytes: Int) {
        state.withLock { state in
            state.segments[segment]!.durable.removeSubrange(bytes...)
            state.segments[segment]!.current.removeSubrange(bytes...)
        }
    }

    /// Takes a segment away without the log's knowledge.
    package func lose(_ segment: SegmentNumber) { state.withLock { $0.segments[segment] = nil } }
}

// MARK: - Observation

extension MemoryLogDevice {
    /// What reads see of a segment.
    package func contents(of segment: SegmentNumber) -> Bytes {
        state.withLock { $0.segments[segment]!.current }
    }

    /// What a crash cannot take.
    package func durableContents(of segment: SegmentNumber) -> Bytes {
        state.withLock { $0.segments[segment]!.durable }
    }

    /// How often an operation was begun.
    package func count(of operation: LogDeviceError.Operation) -> Int {
        state.withLock { $0.counts[operation, default: 0] }
    }
}

extension MemoryLogDevice.Segment {
    fileprivate mutating func write(_ bytes: ArraySlice<UInt8>, at offset: Int) {
        current.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        for start in stride(from: offset, to: offset + bytes.count, by: Sector.size) {
            unsynced[start, default: []].append(Bytes(current[start..<start + Sector.size]))
        }
    }

    fileprivate mutating func sync() {
        for (start, contents) in unsynced {
            durable.replaceSubrange(start..<start + Sector.size, with: contents.last!)
        }
        unsynced = [:]
    }

    fileprivate mutating func crash(
        keepingQuarters keep: Int, using generator: inout SeededGenerator
    ) {
        for (start, contents) in unsynced.sorted(by: { $0.key < $1.key }) {
            guard Int.random(in: 0..<4, using: &generator) < keep else { continue }
            let kept = contents.randomElement(using: &generator)!
            durable.replaceSubrange(start..<start + Sector.size, with: kept)
        }
        unsynced = [:]
        current = durable
    }
}
