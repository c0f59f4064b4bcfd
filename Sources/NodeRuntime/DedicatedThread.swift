import Glibc
import Synchronization

/// A thread of our own, for work that blocks: fsyncs, long scans, the consensus loop. The
/// cooperative pool and the event loops never wait for these (DESIGN, decision 10).
final class DedicatedThread: Sendable {
    private struct Body: @unchecked Sendable {
        let run: @Sendable () -> Void
        let name: String
    }
    private let thread: Mutex<pthread_t?>

    /// - Parameter name: at most 15 bytes, as `ps -L` and `perf` show it.
    init(name: String, _ run: @escaping @Sendable () -> Void) {
        precondition(name.utf8.count <= 15, "thread name \(name) is longer than 15 bytes")
        let box = Unmanaged.passRetained(Box(Body(run: run, name: name)))
        var thread = pthread_t()
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, 8 << 20)
        let code = pthread_create(
            &thread, &attributes,
            { raw in
                let body = Unmanaged<Box>.fromOpaque(raw!).takeRetainedValue().body
                setName(body.name)
                body.run()
                return nil
            }, box.toOpaque())
        pthread_attr_destroy(&attributes)
        precondition(code == 0, "pthread_create of \(name) failed: \(code)")
        self.thread = Mutex(thread)
    }

    /// Nobody will wait for it: its stack goes with its end.
    deinit {
        if let mine = thread.withLock(\.self) { pthread_detach(mine) }
    }

    private final class Box {
        let body: Body
        init(_ body: Body) { self.body = body }
    }

    /// Waits for the thread's end. A second call returns at once.
    func join() {
        let mine = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        if let mine { pthread_join(mine, nil) }
    }
}

/// The C library's own call is not visible to Swift; the kernel takes the name as a file, too.
private func setName(_ name: String) {
    let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    _ = write(file, name, name.utf8.count)
    close(file)
}

/// Nanoseconds of CLOCK_MONOTONIC, for deadlines: never goes back, not comparable between
/// machines.
func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Microseconds since 1970 as this machine's clock reads them: what a leader stamps entries with.
func wallClockMicroseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
}
