import Primitives
import Synchronization

// What a test or the simulator does to the device; the model stands at `MemoryLogDevice`.
extension MemoryLogDevice {
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

    /// How often each fault has struck.
    package struct FaultCounts: Hashable, Sendable {
        package var crashes = 0
        /// Sectors that a crash set back to an earlier state.
        package var lostSectors = 0
        package var errors = 0
        package var noSpace = 0
        package var rotten = 0
        package var misdirected = 0
        package var lostWrites = 0
        package var lostSyncs = 0
        /// Reads that met an unreadable sector.
        package var unreadable = 0
        package var slow = 0
        /// Segments lost or cut short.
        package var lostSegments = 0
        package var rolledBack = 0
    }

    struct PendingFault: Sendable {
        enum Effect: Sendable {
            case error(Int32)
            case lost
            case misdirected(seed: UInt64)
            case slow(units: Int)
        }
        var operation: LogDeviceError.Operation
        var effect: Effect
        var after: Int
        var times: Int
    }

    /// Stops the power. What was not synced is lost, torn or kept, as the seed decides; pending
    /// faults are forgotten.
    package func crash(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        state.withLock { state in
            state.faults = []
            state.faultCounts.crashes += 1
            // Some crashes lose everything or nothing, most lose something.
            let keep = Int.random(in: 0...4, using: &generator)
            for number in state.segments.keys.sorted() {
                state.faultCounts.lostSectors +=
                    state.segments[number]!.crash(keepingQuarters: keep, using: &generator)
            }
        }
    }

    /// Forgets faults that have not struck.
    package func clearFaults() { state.withLock { $0.faults = [] } }

    package func fail(_ fault: Fault) {
        add(fault.operation, .error(fault.errorNumber), after: fault.after, times: fault.times)
    }

    /// - Parameter after: writes that still reach their place before it.
    package func loseWrite(after: Int = 0, times: Int = 1) {
        add(.write, .lost, after: after, times: times)
    }

    package func loseSync(after: Int = 0, times: Int = 1) {
        add(.sync, .lost, after: after, times: times)
    }

    /// - Parameter seed: decides where the write lands.
    package func misdirect(after: Int = 0, seed: UInt64) {
        add(.write, .misdirected(seed: seed), after: after, times: 1)
    }

    /// Adds `units` to `takeDelay` for each operation that is struck.
    package func slow(
        _ operation: LogDeviceError.Operation, units: Int, after: Int = 0, times: Int = 1
    ) {
        add(operation, .slow(units: units), after: after, times: times)
    }

    private func add(
        _ operation: LogDeviceError.Operation, _ effect: PendingFault.Effect, after: Int,
        times: Int
    ) {
        state.withLock {
            $0.faults.append(
                PendingFault(operation: operation, effect: effect, after: after, times: times))
        }
    }

    /// While full, `create` and `write` fail with `ENOSPC`.
    package func setFull(_ isFull: Bool) { state.withLock { $0.isFull = isFull } }

    /// The bytes of all segments together that `create` does not pass; `nil` for no limit.
    package func limit(bytes: Int?) { state.withLock { $0.bytesMax = bytes } }

    package func flipBit(_ segment: SegmentNumber, byte: Int, bit: Int) {
        state.withLock { state in
            state.faultCounts.rotten += 1
            state.segments[segment]!.flipBit(byte: byte, bit: bit)
        }
    }

    package func overwrite(_ segment: SegmentNumber, at offset: Int, _ bytes: Bytes) {
        state.withLock { state in
            state.faultCounts.rotten += 1
            state.segments[segment]!.overwrite(at: offset, bytes)
        }
    }

    /// Reads of the sector fail until it is written.
    package func makeUnreadable(_ segment: SegmentNumber, sector: Int) {
        state.withLock { $0.segments[segment]!.makeUnreadable(sector) }
    }

    /// Cuts a segment short.
    package func truncate(_ segment: SegmentNumber, bytes: Int) {
        state.withLock { state in
            state.faultCounts.lostSegments += 1
            state.segments[segment]!.truncate(bytes: bytes)
        }
    }

    /// Takes a segment away without the log's knowledge.
    package func lose(_ segment: SegmentNumber) {
        state.withLock { state in
            state.faultCounts.lostSegments += 1
            state.segments[segment] = nil
        }
    }

    /// Puts an earlier image (`copy`) back, as a volume restored from a backup.
    package func rollBack(to image: MemoryLogDevice) {
        let segments = image.state.withLock { $0.segments }
        state.withLock { state in
            state.faultCounts.rolledBack += 1
            state.segments = segments
        }
    }
}
