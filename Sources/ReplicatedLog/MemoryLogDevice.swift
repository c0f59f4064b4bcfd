import Primitives
import Synchronization

/// A log device in memory that loses what a disk may lose. For tests and the simulator.
///
/// Fault model. Honest, as `LogDevice` obliges a device to be:
/// - Synced and unsynced bytes are kept apart, sector by sector. `crash(seed:)` gives each sector
///   that has unsynced writes one of its states since the last sync, the synced one included,
///   whatever the order of the writes: whole batches are lost, torn, or kept behind lost ones.
///   Sectors themselves are never torn.
/// - `create` and `remove` are durable and atomic.
/// - `fail` makes operations fail with an error. A write that fails may have reached a prefix of
///   its sectors. A sync that fails loses what it should have made durable: later reads still see
///   it, as from a page cache that marks failed pages clean, but no later sync carries it.
/// - `setFull` makes `create` and `write` fail with `ENOSPC`, without effect, until it is set back;
///   `limit` does so to a `create` that passes a number of bytes, until a `remove` makes room.
///
/// Dishonest, what Protocol-Aware Recovery repairs:
/// - `flipBit` and `overwrite` are rot: they change synced and unsynced bytes alike.
/// - `misdirect` sends a write to another sector of any segment; its own place keeps what it held.
/// - `loseWrite` acknowledges a write that never takes place: reads see what was there before.
/// - `loseSync` acknowledges a sync that makes nothing durable: a crash may take what it covered,
///   the next honest sync of the segment carries it.
/// - `makeUnreadable` makes reads of a sector fail with `EIO` until it is written again.
/// - `truncate` and `lose` shorten a segment or take it away.
/// - `rollBack` puts an image back that `copy` took earlier.
///
/// Slowness has no time of its own here: `slow` adds to `takeDelay`, which the caller turns into
/// virtual time. Nothing is drawn but from a seed given by the caller; `faultCounts` counts what
/// struck.
///
/// Shared between the log thread and readers; a test may also hurt it meanwhile. A sync costs no
/// copy and a copy of the device costs one of a segment once either side writes to it.
package final class MemoryLogDevice: LogDevice {
    struct State {
        var segments: [SegmentNumber: MemorySegment] = [:]
        var faults: [PendingFault] = []
        var counts: [LogDeviceError.Operation: Int] = [:]
        var faultCounts = FaultCounts()
        var isFull = false
        var bytesMax: Int?
        var delay = 0
    }

    let state: Mutex<State>

    package init() { state = Mutex(State()) }

    private init(_ state: consuming State) { self.state = Mutex(state) }

    /// A device of its own with the same segments and no pending faults.
    package func copy() -> MemoryLogDevice {
        let segments = state.withLock { $0.segments }
        return MemoryLogDevice(State(segments: segments))
    }

    // MARK: - LogDevice

    package func listSegments() throws(LogDeviceError) -> [LogDeviceSegment] {
        try state.withLock { state throws(LogDeviceError) in
            _ = try state.begin(.list, nil)
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
            _ = try state.begin(.create, segment)
            let used = state.segments.values.reduce(0) { $0 + $1.current.count }
            if state.isFull || used + bytes > state.bytesMax ?? .max {
                throw state.noSpace(.create, segment)
            }
            precondition(state.segments[segment] == nil, "segment \(segment) exists")
            state.segments[segment] = MemorySegment(content)
        }
    }

    package func read(
        _ segment: SegmentNumber, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(LogDeviceError) {
        try state.withLock { state throws(LogDeviceError) in
            _ = try state.begin(.read, segment)
            let bytes = try state.size(of: segment, for: .read)
            guard offset + buffer.count <= bytes else {
                throw LogDeviceError(
                    .read, segment: segment, errorNumber: 0, detail: "past the end")
            }
            let known = state.segments[segment]!
            if !known.unreadable.isEmpty, !buffer.isEmpty {
                let sectors = offset / Sector.size...(offset + buffer.count - 1) / Sector.size
                if sectors.contains(where: { known.unreadable.contains($0) }) {
                    state.faultCounts.unreadable += 1
                    throw LogDeviceError(
                        .read, segment: segment, errorNumber: 5, detail: "unreadable sector")
                }
            }
            known.current.withUnsafeBytes { raw in
                buffer.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: raw[offset..<offset + buffer.count]))
            }
        }
    }

    package func write(
        _ segment: SegmentNumber, at offset: Int, _ bytes: UnsafeRawBufferPointer
    ) throws(LogDeviceError) {
        precondition(
            offset % Sector.size == 0 && bytes.count % Sector.size == 0,
            "\(bytes.count) bytes at \(offset) are not whole sectors")
        try state.withLock { state throws(LogDeviceError) in
            let size = try state.size(of: segment, for: .write)
            precondition(
                offset + bytes.count <= size, "\(bytes.count) bytes at \(offset) of \(size)")
            if state.isFull {
                _ = try state.begin(.write, segment)
                throw state.noSpace(.write, segment)
            }
            let effect: PendingFault.Effect?
            do throws(LogDeviceError) {
                effect = try state.begin(.write, segment)
            } catch {
                let reached = bytes.count / Sector.size / 2 * Sector.size
                state.segments[segment]!.write(
                    UnsafeRawBufferPointer(rebasing: bytes[..<reached]), at: offset)
                throw error
            }
            switch effect {
            case .lost: state.faultCounts.lostWrites += 1
            case .misdirected(let seed): state.misdirect(bytes, from: segment, seed: seed)
            case .error, .slow, nil: state.segments[segment]!.write(bytes, at: offset)
            }
        }
    }

    package func sync(_ segment: SegmentNumber) throws(LogDeviceError) {
        try state.withLock { state throws(LogDeviceError) in
            _ = try state.size(of: segment, for: .sync)
            let effect: PendingFault.Effect?
            do throws(LogDeviceError) {
                effect = try state.begin(.sync, segment)
            } catch {
                state.segments[segment]!.failSync()
                throw error
            }
            if case .lost = effect {
                state.faultCounts.lostSyncs += 1
            } else {
                state.segments[segment]!.sync()
            }
        }
    }

    package func remove(_ segment: SegmentNumber) throws(LogDeviceError) {
        try state.withLock { state throws(LogDeviceError) in
            _ = try state.begin(.remove, segment)
            _ = try state.size(of: segment, for: .remove)
            state.segments[segment] = nil
        }
    }
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

    /// A sector that stands as it was written, and proves that this one had been synced: each head of
    /// a batch and each sector of identifiers says up to where everything was when it was written.
    package func proof(thatSynced sector: Int, of segment: SegmentNumber) -> Int? {
        state.withLock { state in
            guard let known = state.segments[segment], let synced = known.syncNumbers[sector] else {
                return nil
            }
            return known.syncNumbers.lazy.filter { other, number in
                guard number > synced, !known.harmed.contains(other),
                    !known.unreadable.contains(other)
                else { return false }
                let role = known.current[other * Sector.size + Sector.roleOffset]
                return role == Sector.Role.batchHead.rawValue
                    || role == Sector.Role.identifiers.rawValue
            }.map(\.key).min()
        }
    }

    /// How often an operation was begun.
    package func count(of operation: LogDeviceError.Operation) -> Int {
        state.withLock { $0.counts[operation, default: 0] }
    }

    /// What has struck so far.
    package var faultCounts: FaultCounts { state.withLock { $0.faultCounts } }

    /// The slowness that has struck since this was last asked, in the units given to `slow`.
    package func takeDelay() -> Int {
        state.withLock { state in
            defer { state.delay = 0 }
            return state.delay
        }
    }
}

extension MemoryLogDevice.State {
    func size(
        of segment: SegmentNumber, for operation: LogDeviceError.Operation
    ) throws(LogDeviceError) -> Int {
        guard let size = segments[segment]?.current.count else {
            throw LogDeviceError(
                operation, segment: segment, errorNumber: 2, detail: "no such segment")
        }
        return size
    }

    mutating func noSpace(
        _ operation: LogDeviceError.Operation, _ segment: SegmentNumber
    ) -> LogDeviceError {
        faultCounts.noSpace += 1
        return LogDeviceError(
            operation, segment: segment, errorNumber: 28, detail: "no space left on device")
    }

    /// Counts the operation, and fails it or says what is wrong with it when a fault is due.
    mutating func begin(
        _ operation: LogDeviceError.Operation, _ segment: SegmentNumber?
    ) throws(LogDeviceError) -> MemoryLogDevice.PendingFault.Effect? {
        counts[operation, default: 0] += 1
        guard !faults.isEmpty, let i = faults.firstIndex(where: { $0.operation == operation })
        else { return nil }
        if faults[i].after > 0 {
            faults[i].after -= 1
            return nil
        }
        let effect = faults[i].effect
        faults[i].times -= 1
        if faults[i].times <= 0 { faults.remove(at: i) }
        switch effect {
        case .error(let number):
            faultCounts.errors += 1
            throw LogDeviceError(
                operation, segment: segment, errorNumber: number, detail: "injected")
        case .slow(let units):
            faultCounts.slow += 1
            delay += units
        case .lost, .misdirected: break
        }
        return effect
    }

    mutating func misdirect(_ bytes: UnsafeRawBufferPointer, from: SegmentNumber, seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let numbers = segments.keys.sorted()
        let number = numbers.randomElement(using: &generator) ?? from
        let size = segments[number]!.current.count
        let count = min(bytes.count, size / Sector.size * Sector.size)
        let sector = Int.random(in: 0...(size - count) / Sector.size, using: &generator)
        segments[number]!.write(
            UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: sector * Sector.size)
        faultCounts.misdirected += 1
    }
}
