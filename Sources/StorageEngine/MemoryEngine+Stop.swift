import Primitives
import Synchronization

/// Stopping, and opening what is left.
extension MemoryEngine {
    /// Stops the engine as a loss of power would, or the end of its process.
    ///
    /// - Parameter seed: decides how many of the unflushed batches reached the disk.
    package func stop(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        state.withLock { state in
            precondition(!state.isStopped, "MemoryEngine: stop of an engine that is stopped")
            state.isStopped = true
            state.writeBack(Int.random(in: 0...state.unflushed.count, using: &generator))
            state.unflushed.removeAll()
            state.rebuildCurrent()
        }
    }

    /// Opens what `close` or `stop` left. After an error the cause can be mended and it can be
    /// called again.
    ///
    /// - Throws: what `refuseToOpen` was given; `.noSpace` while the disk is full.
    package func open() throws(StorageError) -> MemoryEngine {
        let disk = state.withLock { state in
            precondition(state.isStopped, "MemoryEngine: open of an engine that is open")
            return state.disk
        }
        if let refusal = disk.refusal { throw refusal }
        if disk.isFull { throw MemoryDisk.noSpace }
        return MemoryEngine(of: disk, like: self)
    }

    /// Opens again what `close` left. The engine must be closed, and its disk must allow it.
    package func restart() -> MemoryEngine {
        do throws(StorageError) {
            return try open()
        } catch {
            preconditionFailure("MemoryEngine: restart of a store that does not open: \(error)")
        }
    }

    /// Stops the engine as a loss of power would, and opens what is left of it. The disk must allow
    /// it.
    ///
    /// - Parameter seed: decides how many of the unflushed batches reached the disk.
    package func crash(seed: UInt64) -> MemoryEngine {
        stop(seed: seed)
        return restart()
    }

    /// No more room: flushes, write-backs and opening fail with `.noSpace`.
    package func fillDisk() { state.withLock { $0.disk.isFull = true } }

    /// Room again. An engine that has failed stays failed until it is opened again.
    package func freeSpace() { state.withLock { $0.disk.isFull = false } }

    /// Opening throws this from now on: what a missing, exchanged or shortened file does, or a
    /// damaged MANIFEST or CURRENT. Nil ends it, as when files are restored. A running engine does
    /// not notice.
    package func refuseToOpen(_ error: StorageError?) {
        state.withLock { $0.disk.refusal = error }
    }
}
