import Glibc

/// A bounded queue into a thread of our own: many post, one takes all that has come. Taking in
/// batches is what lets one sync, one engine write and one wake-up serve many requests.
final class Mailbox<Element: Sendable>: @unchecked Sendable {
    // @unchecked: `elements` and `isClosed` are only touched with `mutex` held.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var elements: [Element] = []
    /// Elements before it have been taken one by one.
    private var head = 0
    private var isClosed = false
    /// Elements that may wait; `post` refuses beyond it.
    let capacity: Int

    /// Threads take from it one by one (`takeOne`).
    private let sharedByTakers: Bool

    init(capacity: Int, sharedByTakers: Bool = false) {
        self.capacity = capacity
        self.sharedByTakers = sharedByTakers
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// False when the mailbox is full or closed: the element was not taken.
    func post(_ element: Element) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isClosed, elements.count - head < capacity else { return false }
        elements.append(element)
        signal()
        return true
    }

    /// A thread that empties the mailbox needs one signal; threads that take one by one need one
    /// each, and a signal that nobody waits for costs nothing.
    private func signal() {
        if sharedByTakers || elements.count == 1 { pthread_cond_signal(condition) }
    }

    /// For what must not be refused because the node's own bookkeeping waits for it (an answer of
    /// storage, a tick): beyond the capacity, which bounds requests. False only when closed.
    @discardableResult
    func postRegardless(_ element: Element) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isClosed else { return false }
        elements.append(element)
        signal()
        return true
    }

    var hasClosed: Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return isClosed
    }

    var count: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return elements.count - head
    }

    /// Takes everything that waits, in order; waits for the first element until the deadline.
    ///
    /// - Parameter deadline: nanoseconds of CLOCK_MONOTONIC; nil waits for ever.
    /// - Returns: false when the mailbox is closed and empty. An empty `batch` with true: the
    ///   deadline passed.
    func take(into batch: inout [Element], until deadline: UInt64?) -> Bool {
        batch.removeAll(keepingCapacity: true)
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while elements.isEmpty && !isClosed {
            guard let deadline else {
                pthread_cond_wait(condition, mutex)
                continue
            }
            var time = timespec(
                tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
            if pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT { break }
        }
        if elements.isEmpty { return !isClosed }
        swap(&batch, &elements)
        return true
    }

    /// The first element, waiting for it; nil when the mailbox is closed and empty. For threads
    /// that share a mailbox. Not to be mixed with `take`, which empties it.
    func takeOne() -> Element? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while head == elements.count && !isClosed { pthread_cond_wait(condition, mutex) }
        guard head < elements.count else { return nil }
        let element = elements[head]
        head += 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 1024 {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }

    /// What is queued is still taken; nothing more is accepted.
    func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }
}
