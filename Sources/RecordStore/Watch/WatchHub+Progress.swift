import Primitives
import RecordModel

/// How far a stream has come, for clients that want to know while nothing happens (etcd API,
/// "Watch": progress). What is stated is `revision`, and only when everything up to it has been sent:
/// etcd has stated more than that (its issue 15220).
extension WatchHub {
    /// Answered once no watcher of the stream is behind.
    package mutating func progressRequested(on stream: WatchStreamID) {
        guard let seat = seat(of: stream) else { return }
        let waiting = streams[Int(seat)].progressRequests
        streams[Int(seat)].progressRequests = min(waiting + 1, limits.progressRequestsMax)
        answerProgress(seat)
    }

    mutating func answerProgress(_ seat: Int32) {
        let stream = streams[Int(seat)]
        guard stream.progressRequests > 0, stream.behindCount == 0, let id = stream.id else {
            return
        }
        streams[Int(seat)].progressRequests = 0
        for _ in 0..<stream.progressRequests {
            add(.progress(id, watch: nil, revision: revision))
        }
    }

    // MARK: By interval

    mutating func noteProgress(_ watcher: Int32) {
        let seat = Int(watchers[Int(watcher)].stream)
        streams[seat].notified.append(reference(watcher))
        if streams[seat].progressDue == nil {
            let due = dueAfterNow()
            streams[seat].progressDue = due
            progressDue = min(progressDue ?? due, due)
        }
    }

    private mutating func dueAfterNow() -> MonotonicTime {
        let jitter = UInt64.random(in: 0...(progressInterval / 10), using: &generator)
        return MonotonicTime(nanoseconds: now.nanoseconds + progressInterval + jitter)
    }

    /// The clock has come so far.
    ///
    /// - Returns: when to be told again at the latest; nil while nobody waits.
    package mutating func ticked(_ time: MonotonicTime) -> MonotonicTime? {
        now = max(now, time)
        guard let due = progressDue, due <= now else { return progressDue }
        progressDue = nil
        for seat in streams.indices {
            guard let id = streams[seat].id, let due = streams[seat].progressDue else { continue }
            if due <= now {
                tell(seat, id)
                streams[seat].progressDue = streams[seat].notified.isEmpty ? nil : dueAfterNow()
            }
            if let due = streams[seat].progressDue { progressDue = min(progressDue ?? due, due) }
        }
        return progressDue
    }

    private mutating func tell(_ stream: Int, _ id: WatchStreamID) {
        let notified = streams[stream].notified.filter { seat(of: $0) != nil }
        streams[stream].notified = notified
        for reference in notified {
            let seat = Int(reference.seat)
            if watchers[seat].options.contains(.isQuiet), !watchers[seat].isBehind {
                add(.progress(id, watch: watchers[seat].id, revision: revision))
            }
            watchers[seat].options.insert(.isQuiet)
        }
    }
}
