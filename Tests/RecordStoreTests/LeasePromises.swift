import Primitives
import RecordModel
import RecordStore

/// What clients were promised of each lease, against what became of it: no lease expires before its
/// time after its grant, or after a keep-alive that was acknowledged, counted from when the client
/// sent it; and no keep-alive of a lease that was gone before it was sent is acknowledged.
struct LeasePromises {
    private struct Sent {
        var id: LeaseID
        var at: UInt64
    }
    private struct Promise {
        var seconds: Int64
        var until: UInt64
    }

    private var sent: [UInt64: Sent] = [:]
    private var live: [LeaseID: Promise] = [:]
    /// When it expired last.
    private var expired: [LeaseID: UInt64] = [:]
    private(set) var acknowledgements = 0
    private(set) var expiries = 0

    var liveCount: Int { live.count }

    mutating func sends(_ token: UInt64, _ id: LeaseID, at time: UInt64) {
        sent[token] = Sent(id: id, at: time)
    }

    mutating func dismissed(_ token: UInt64) { sent[token] = nil }

    mutating func acknowledged(
        _ token: UInt64, seconds: Int64, isThere truth: RecordStore
    ) throws {
        guard let request = sent.removeValue(forKey: token) else {
            throw Surprise("keep-alive \(token) was answered twice")
        }
        acknowledgements += 1
        let until = request.at + UInt64(seconds) * LeaseWorld.second
        if live[request.id] != nil {
            live[request.id]!.until = max(live[request.id]!.until, until)
        } else if let end = expired[request.id], end < until {
            throw Surprise(
                "lease \(request.id) expired at \(end), and its keep-alive of \(request.at), "
                    + "acknowledged, was for \(seconds) s")
        }
    }

    /// An entry was committed.
    mutating func note(_ change: LeaseChange, by command: LeaseCommand?, at time: UInt64) throws {
        switch (change, command) {
        case (.begun(let lease), .grant):
            // From the commit on: the client knows no earlier moment at which the lease was there.
            live[lease.id] = Promise(
                seconds: lease.seconds, until: time + UInt64(lease.seconds) * LeaseWorld.second)
            expired[lease.id] = nil
        case (.ended(let id), .expire):
            guard let promise = live.removeValue(forKey: id) else {
                throw Surprise("lease \(id) ended twice")
            }
            expired[id] = time
            expiries += 1
            guard time >= promise.until else {
                throw Surprise(
                    "lease \(id) of \(promise.seconds) s expired at \(time), promised until "
                        + "\(promise.until)")
            }
        case (.ended(let id), _): live[id] = nil
        case (.begun, _), (.checkpointed, _), (.cleared, _): break
        }
    }
}
