import RecordModel

extension WatchHub {
    /// Stops the program when the hub contradicts itself. For tests: it looks at every watcher.
    package func checkInvariants() {
        precondition(recent.after <= revision, "recent \(recent.after) beyond \(revision)")
        var behind = [Int](repeating: 0, count: streams.count)
        var waiting: Set<WatcherReference> = []
        for stream in streams { waiting.formUnion(stream.waiting) }
        for seat in watchers.indices where watchers[seat].place != .none {
            let watcher = watchers[seat]
            let stream = streams[Int(watcher.stream)]
            precondition(stream.id != nil, "watcher \(seat) on a stream that is gone")
            precondition(stream.seats[watcher.id] == Int32(seat), "watcher \(seat) is not known")
            guard watcher.isBehind else { continue }
            behind[Int(watcher.stream)] += 1
            precondition(watcher.next <= revision, "\(watcher.next) is behind \(revision)")
            if watcher.place == .reading {
                precondition(isReading, "watcher \(seat) waits for no read")
            } else {
                precondition(waiting.contains(reference(Int32(seat))), "watcher \(seat) is lost")
                let isCalled = stream.isReady || !stream.isWritable || !effects.isEmpty
                precondition(isCalled, "watcher \(seat) waits for nothing")
            }
        }
        for (seat, stream) in streams.enumerated() {
            precondition(stream.behindCount == behind[seat], "stream \(seat) counts wrongly")
            precondition(stream.isReady == ready.contains(Int32(seat)), "stream \(seat) in queue")
        }
        precondition(behindCount == behind.reduce(0, +), "\(behindCount) are not behind")
    }
}
