import NIOCore
import Testing

@testable import RPC

/// Keepalive and stalls, with time as an argument.
@Suite struct ConnectionLivenessTests {
    private let start = NIODeadline.uptimeNanoseconds(0)

    @Test func aQuietConnectionIsAskedThenGivenUp() {
        var liveness = ConnectionLiveness(
            interval: .seconds(10), timeout: .seconds(5), now: start)
        #expect(liveness.look(now: start + .seconds(9)) == .nothing)
        #expect(liveness.look(now: start + .seconds(10)) == .sendPing)
        #expect(liveness.look(now: start + .seconds(14)) == .nothing)
        #expect(liveness.look(now: start + .seconds(15)) == .giveUp)
    }

    @Test func anyFrameIsASignOfLife() {
        var liveness = ConnectionLiveness(
            interval: .seconds(10), timeout: .seconds(5), now: start)
        #expect(liveness.look(now: start + .seconds(10)) == .sendPing)
        liveness.heard()
        #expect(liveness.look(now: start + .seconds(15)) == .nothing)
        #expect(liveness.look(now: start + .seconds(24)) == .nothing)
        #expect(liveness.look(now: start + .seconds(25)) == .sendPing)
    }

    @Test func aStallIsNoProgressWhileSomethingWaits() {
        var watch = StallWatch(timeout: .seconds(60), now: start)
        let look1 = watch.look(waiting: false, now: start + .seconds(100))
        #expect(!look1)
        let look2 = watch.look(waiting: true, now: start + .seconds(159))
        #expect(!look2)
        watch.wrote()
        let look3 = watch.look(waiting: true, now: start + .seconds(160))
        #expect(!look3)
        let look4 = watch.look(waiting: true, now: start + .seconds(219))
        #expect(!look4)
        let look5 = watch.look(waiting: true, now: start + .seconds(220))
        #expect(look5)
    }
}
