import Primitives
import RecordModel
import RecordStore
import Synchronization

/// Where the apply thread leaves what was applied, for the thread that tells watchers. Never makes
/// it wait: at `bytesMax` the events of a group that have not been fetched yet are let go, and are
/// read from disk instead.
final class WatchFeed: Sendable {
    /// Bytes of events of one group (`WatchEvent.bytes`) that wait to be fetched.
    static let bytesMax = 32 << 20

    fileprivate struct Waiting {
        var changes: ShardChanges?
        var bytes = 0
    }
    private struct State {
        /// Watched groups. Never iterated but in order.
        var groups: [GroupID: Waiting] = [:]
        var isSignalled = false
    }
    private let state = Mutex(State())
    private let signal: @Sendable () -> Void

    /// - Parameter signal: called from the apply thread when something waits after nothing did.
    init(signal: @escaping @Sendable () -> Void) { self.signal = signal }

    func isWatched(_ group: GroupID) -> Bool { state.withLock { $0.groups[group] != nil } }

    /// From now on what the group applies is kept. Whoever asks where the group stands after this
    /// call misses nothing.
    func watch(_ group: GroupID) {
        state.withLock { state in
            if state.groups[group] == nil { state.groups[group] = Waiting() }
        }
    }

    func unwatch(_ group: GroupID) { state.withLock { $0.groups[group] = nil } }

    /// Called for every batch once it can be read, also for one that was applied unwatched.
    func post(_ changes: ShardChanges, of group: GroupID) {
        let bytes = changes.events.reduce(0) { $0 + $1.bytes }
        let mustSignal = state.withLock { state in
            guard state.groups[group] != nil else { return false }
            state.groups[group]!.add(changes, bytes: bytes)
            defer { state.isSignalled = true }
            return !state.isSignalled
        }
        if mustSignal { signal() }
    }

    /// Everything that waits, by group.
    func take() -> [(group: GroupID, changes: ShardChanges)] {
        state.withLock { state in
            state.isSignalled = false
            var taken: [(group: GroupID, changes: ShardChanges)] = []
            for group in state.groups.keys.sorted() {
                guard let changes = state.groups[group]?.changes else { continue }
                taken.append((group, changes))
                state.groups[group] = Waiting()
            }
            return taken
        }
    }
}

extension WatchFeed.Waiting {
    fileprivate mutating func add(_ next: ShardChanges, bytes more: Int) {
        guard var all = changes else {
            changes = next
            bytes = more
            return
        }
        changes = nil
        all.append(next)
        bytes = next.after == all.after ? more : bytes + more
        if bytes > WatchFeed.bytesMax {
            all.dropEvents()
            bytes = 0
        }
        changes = all
    }
}
