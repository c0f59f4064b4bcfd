import Primitives
import RecordModel
import RecordStore
import StorageEngine

/// The thread that takes away what compactions have hidden (`RecordStore.removeSuperseded`), a step
/// of one group after a step of another, so that neither waits for the other's whole. It rests
/// between steps, longer the longer a step took: requests go first, and an engine that is behind is
/// left alone.
///
/// Interrupted at any moment it loses nothing: the next start goes on where the disk says.
final class Remover: Sendable {
    /// Of a step's time, how much it rests after it: removal takes a quarter of one thread at most.
    private static let restFactor: UInt64 = 3
    /// The shortest rest, etcd's `--experimental-compaction-sleep-interval`: at most 100 steps a
    /// second, 100,000 changes.
    private static let restMinimum: UInt64 = 10_000_000
    /// How long deletions may wait in memory for tables to be written. Not shorter, because every
    /// flush makes a table, and compactions may come in any number.
    private static let flushInterval: UInt64 = 30_000_000_000
    /// Physical compactions that may wait for their answers. Another is answered as one whose
    /// outcome is not known: its floor is raised, and what it hides will go.
    private static let waitersMax = 1_000

    typealias Completion = @Sendable (Result<Void, NodeError>) -> Void

    private struct Waiter {
        var through: Revision
        var completion: Completion
    }

    private enum Event: Sendable {
        case floorRose(GroupID)
        case wait(GroupID, Revision, Completion)
    }

    private let stores: [GroupID: RecordStore]
    private let engine: any StorageEngine
    private let metrics: NodeMetrics
    private let mailbox = Mailbox<Event>(capacity: Remover.waitersMax)
    private let fatal: @Sendable (String) -> Void

    init(
        stores: [GroupID: RecordStore], engine: any StorageEngine, metrics: NodeMetrics,
        fatal: @escaping @Sendable (String) -> Void
    ) {
        self.stores = stores
        self.engine = engine
        self.metrics = metrics
        self.fatal = fatal
    }

    /// A compaction was applied. From any thread.
    func floorRose(in group: GroupID) { mailbox.postRegardless(.floorRose(group)) }

    /// Calls back once nothing that a compaction through the revision hides is left here, or is to
    /// stay for the keyspace's retention or a hold; or `outcomeUnknown` when the node stops before.
    /// Exactly once, from any thread.
    func whenRemoved(
        in group: GroupID, through revision: Revision, _ completion: @escaping Completion
    ) {
        if mailbox.post(.wait(group, revision, completion)) { return }
        completion(.failure(.outcomeUnknown))
    }

    func close() { mailbox.close() }

    // MARK: The thread

    /// What the thread knows, and nobody else.
    private struct Work {
        /// Groups that may have something to remove, the next one first.
        var pending: [GroupID]
        var waiters: [GroupID: [Waiter]] = [:]
        /// Deletions may be in memory only.
        var isUnflushed = false
        var lastFlush: UInt64 = 0
        var nextStep: UInt64 = 0

        /// When there is something to do; nil waits for an event.
        var wakeTime: UInt64? {
            let step = pending.isEmpty ? nil : nextStep
            let flush = isUnflushed && pending.isEmpty ? lastFlush + Remover.flushInterval : nil
            return [step, flush].compactMap(\.self).min()
        }
    }

    /// Its body: returns when the mailbox is closed, between two steps. A start goes through all
    /// groups, since the last stop may have come before their end.
    func run() {
        var work = Work(pending: stores.keys.sorted())
        var events: [Event] = []
        while mailbox.take(into: &events, until: work.wakeTime), !mailbox.hasClosed {
            for event in events { receive(event, &work) }
            events.removeAll()
            do throws(RecordStoreError) {
                try step(&work)
                try flush(&work)
            } catch {
                fatal("what compaction hides cannot be removed: \(error)")
                break
            }
        }
        mailbox.close()
        repeat {
            for event in events { receive(event, &work) }
        } while mailbox.take(into: &events, until: nil)
        for waiter in work.waiters.values.joined() { waiter.completion(.failure(.outcomeUnknown)) }
    }

    private func receive(_ event: Event, _ work: inout Work) {
        let group: GroupID
        switch event {
        case .floorRose(let risen): group = risen
        case .wait(let asked, let through, let completion):
            let count = work.waiters.values.reduce(0) { $0 + $1.count }
            guard count < Self.waitersMax else { return completion(.failure(.outcomeUnknown)) }
            work.waiters[asked, default: []].append(
                Waiter(through: through, completion: completion))
            group = asked
        }
        if !work.pending.contains(group) { work.pending.append(group) }
    }

    private func step(_ work: inout Work) throws(RecordStoreError) {
        let now = monotonicNanoseconds()
        guard now >= work.nextStep, let group = work.pending.first else { return }
        work.pending.removeFirst()
        guard let store = stores[group] else { preconditionFailure("no group \(group)") }
        let progress = try store.removeSuperseded()
        if progress.rowsRemoved > 0 {
            metrics.rowsRemoved.add(progress.rowsRemoved)
            work.isUnflushed = true
        }
        if progress.isDone {
            release(&work, group, through: progress.floor)
        } else {
            work.pending.append(group)
        }
        let took = monotonicNanoseconds() - now
        work.nextStep = now + took + max(Self.restMinimum, took * Self.restFactor)
    }

    /// Deletions reach the tables, whose merging gives the space back: without it the last of them
    /// would wait in memory for as long as nobody writes.
    private func flush(_ work: inout Work) throws(RecordStoreError) {
        let now = monotonicNanoseconds()
        guard work.isUnflushed, work.pending.isEmpty, now >= work.lastFlush + Self.flushInterval
        else { return }
        do throws(StorageError) { try engine.flush() } catch { throw .storage(error) }
        work.isUnflushed = false
        work.lastFlush = now
    }

    private func release(_ work: inout Work, _ group: GroupID, through floor: Revision) {
        let all = work.waiters.removeValue(forKey: group) ?? []
        for waiter in all where waiter.through <= floor { waiter.completion(.success(())) }
        let rest = all.filter { $0.through > floor }
        if !rest.isEmpty { work.waiters[group] = rest }
    }
}
