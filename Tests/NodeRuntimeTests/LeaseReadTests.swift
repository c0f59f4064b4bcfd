import Dispatch
import Primitives
import RecordModel
import RecordStore
import Testing
import WireProtocol

@testable import NodeRuntime

@Suite(.serialized) struct LeaseReadTests {
    /// Scans of other clients may keep every reading thread for seconds. A lease that its client
    /// keeps alive is none of theirs.
    @Test func scansDoNotKeepALeaseFromBeingKeptAlive() async throws {
        try await TestCluster.with(nodes: 1) { cluster in
            let node = try #require(cluster.running["n1"]?.node)
            let lease = LeaseID(7)
            _ = try await node.submit(.lease(.grant(lease, seconds: 60)), to: .default).get()
            let busy = keepReadingThreads(of: node)
            let start = ContinuousClock.now
            let answer = await withCheckedContinuation { continuation in
                node.ask(.keepAlive, lease, in: .default) { continuation.resume(returning: $0) }
            }
            for _ in 0..<NodeLimits.readThreads { busy.signal() }
            #expect(try answer.get() == .renewed(seconds: 60))
            #expect(ContinuousClock.now - start < .seconds(5))
        }
    }

    /// Until the semaphore is signalled once for each.
    private func keepReadingThreads(of node: Node) -> DispatchSemaphore {
        let busy = DispatchSemaphore(value: 0)
        for _ in 0..<NodeLimits.readThreads {
            node.read(.default, linearizable: false) {
                (_: Result<RecordReader, NodeError>) -> Void in busy.wait()
            }
        }
        return busy
    }
}
