import Primitives
import RecordModel
import RecordStore
import WireProtocol

/// What the lease thread is given of its node.
extension Node {
    /// The leases of each group as its state stands now, before more is applied.
    func leaseClocks() throws(ConfigurationError) -> [GroupID: LeaseClock] {
        let now = MonotonicTime(nanoseconds: monotonicNanoseconds())
        var clocks: [GroupID: LeaseClock] = [:]
        for (group, store) in stores {
            do throws(RecordStoreError) {
                clocks[group] = LeaseClock(leases: try store.leases(), now: now)
            } catch {
                throw ConfigurationError("group \(group): its leases cannot be read: \(error)")
            }
        }
        return clocks
    }

    func leaseEnvironment(
        mailbox: Mailbox<LeaseEvent>, consensus: Mailbox<NodeEvent>
    ) -> LeaseKeeper.Environment {
        LeaseKeeper.Environment(
            own: id, mailbox: mailbox, consensus: consensus,
            patience: configuration.electionTimeout.nanoseconds,
            propose: { [self] command, group, completion in
                submit(.lease(command), to: KeyspaceID(group: group)) { result in
                    if case .success(let outcome) = result, case .success = outcome.result {
                        completion(true)
                    } else {
                        completion(false)
                    }
                }
            },
            confirm: { [self] group, completion in
                self.confirm(KeyspaceID(group: group), run: completion)
            },
            send: { [self] traffic, node in transport.send(traffic, to: node) })
    }

    /// etcd's shortest lease: one and a half election timeouts, in whole heartbeats, rounded up to
    /// seconds (`minLeaseTTL`). A shorter one could end before another leader is there to keep it.
    var leaseSecondsMin: Int64 {
        let heartbeat = configuration.heartbeatInterval
        let heartbeats = Int64(configuration.electionTimeout / heartbeat) * 3 / 2
        let nanoseconds = UInt64(heartbeats) * heartbeat.nanoseconds
        return Int64((nanoseconds + 999_999_999) / 1_000_000_000)
    }
}
