import Primitives
import RecordModel
import RecordStore
import Testing

/// Each scenario is a transcript: what the clock is told, and what it says.
@Suite struct LeaseClockTests {
    private let one = LeaseID(1)
    private let first = LogIndex(1)

    private func at(_ seconds: Double) -> MonotonicTime {
        MonotonicTime(nanoseconds: UInt64(seconds * 1e9))
    }

    private func lease(
        _ id: Int64 = 1, _ seconds: Int64 = 10, generation: UInt64 = 1, remaining: Int64 = 0
    ) -> Lease {
        Lease(
            id: LeaseID(id), seconds: seconds, generation: LogIndex(generation),
            remainingSeconds: remaining)
    }

    private func expiry(_ id: Int64 = 1, generation: UInt64 = 1, term: UInt64) -> LeaseEffect {
        .propose(
            .expire(LeaseID(id), generation: LogIndex(generation), term: Term(term)))
    }

    /// A clock of a leader since second 100 of term 5, with one lease of 10 s.
    private func leading() -> LeaseClock {
        var clock = LeaseClock(leases: [lease()], now: at(0))
        #expect(clock.leadershipBegan(in: Term(5), now: at(100)) == [])
        return clock
    }

    @Test func aLeaseExpiresOnceItsTimeIsUp() {
        var clock = leading()
        #expect(clock.nextTime == at(110))
        #expect(clock.advanced(now: at(109.999)) == [])
        #expect(clock.advanced(now: at(110)) == [expiry(term: 5)])
        #expect(clock.advanced(now: at(200)) == [])
        #expect(clock.changed(.ended(one), now: at(200)) == [])
        #expect(clock.count == 0)
        #expect(clock.nextTime == nil)
    }

    @Test func aKeepAliveBeginsItsTimeAnew() {
        var clock = leading()
        #expect(
            clock.keptAlive(7, one, confirmedIn: Term(5), now: at(109))
                == [.answer(7, .renewed(seconds: 10))])
        #expect(clock.advanced(now: at(118.999)) == [])
        #expect(clock.advanced(now: at(119)) == [expiry(term: 5)])
    }

    @Test func onlyTheLeaderOfTheConfirmedTermKeepsAlive() {
        var clock = leading()
        #expect(
            clock.keptAlive(7, one, confirmedIn: Term(6), now: at(101))
                == [.answer(7, .notLeader)])
        #expect(
            clock.keptAlive(8, LeaseID(2), confirmedIn: Term(5), now: at(101))
                == [.answer(8, .notFound)])
        #expect(clock.leadershipEnded(now: at(102)) == [])
        #expect(
            clock.keptAlive(9, one, confirmedIn: Term(5), now: at(103))
                == [.answer(9, .notLeader)])
    }

    /// Once its end may be in the log, no keep-alive is acknowledged: also when the proposal is
    /// reported lost, since what is reported may be applied yet.
    @Test func aKeepAliveWaitsForAnEndThatWasProposed() {
        var clock = leading()
        #expect(clock.advanced(now: at(110)) == [expiry(term: 5)])
        #expect(clock.keptAlive(7, one, confirmedIn: Term(5), now: at(110.1)) == [])
        let failed = LeaseCommand.expire(one, generation: first, term: Term(5))
        #expect(clock.proposalFailed(failed, now: at(111)) == [])
        #expect(clock.keptAlive(8, one, confirmedIn: Term(5), now: at(111.1)) == [])
        #expect(clock.advanced(now: at(111.499)) == [])
        #expect(clock.advanced(now: at(111.5)) == [expiry(term: 5)])
        #expect(
            clock.changed(.ended(one), now: at(112))
                == [.answer(7, .notFound), .answer(8, .notFound)])
    }

    /// A deposed leader's clock says nothing; the next leader's begins with all the lease has.
    @Test func aNewLeadershipBeginsAnew() {
        var clock = leading()
        #expect(clock.advanced(now: at(110)) == [expiry(term: 5)])
        #expect(clock.keptAlive(7, one, confirmedIn: Term(5), now: at(110)) == [])
        #expect(clock.leadershipEnded(now: at(111)) == [.answer(7, .notLeader)])
        #expect(clock.advanced(now: at(500)) == [])
        #expect(clock.leadershipBegan(in: Term(7), now: at(501)) == [])
        let former = LeaseCommand.expire(one, generation: first, term: Term(5))
        #expect(clock.proposalFailed(former, now: at(502)) == [])
        #expect(
            clock.keptAlive(8, one, confirmedIn: Term(7), now: at(503))
                == [.answer(8, .renewed(seconds: 10))])
        #expect(clock.advanced(now: at(512.999)) == [])
        #expect(clock.advanced(now: at(513)) == [expiry(term: 7)])
    }

    /// A group asleep with a lease is awake when that could have ended, on each replica.
    @Test func aFollowerLooksAroundWhenALeaseCouldHaveEnded() {
        var clock = LeaseClock(leases: [lease(1, 10), lease(2, 25)], now: at(0))
        #expect(clock.nextLook == at(10))
        #expect(clock.advanced(now: at(10)) == [])
        #expect(clock.nextLook == at(20))
        #expect(clock.changed(.ended(one), now: at(11)) == [])
        #expect(clock.advanced(now: at(20)) == [])
        #expect(clock.nextLook == at(25))
        #expect(clock.changed(.ended(LeaseID(2)), now: at(21)) == [])
        #expect(clock.advanced(now: at(25)) == [])
        #expect(clock.nextLook == nil)
    }

    @Test func endsBeyondTheLimitWaitAndCanBeKeptAlive() {
        var settings = LeaseClock.Settings()
        settings.expiriesMax = 2
        var clock = LeaseClock(
            leases: (1...4).map { lease($0, 10) }, settings: settings, now: at(0))
        #expect(clock.leadershipBegan(in: Term(1), now: at(0)) == [])
        #expect(clock.advanced(now: at(10)) == [expiry(1, term: 1), expiry(2, term: 1)])
        #expect(clock.nextTime == nil)
        #expect(
            clock.keptAlive(7, LeaseID(3), confirmedIn: Term(1), now: at(11))
                == [.answer(7, .renewed(seconds: 10))])
        #expect(clock.changed(.ended(one), now: at(12)) == [])
        #expect(clock.advanced(now: at(12)) == [expiry(4, term: 1)])
        #expect(clock.advanced(now: at(21)) == [])
        #expect(clock.changed(.ended(LeaseID(2)), now: at(21)) == [])
        #expect(clock.advanced(now: at(21)) == [expiry(3, term: 1)])
    }

    /// What is left of a long lease is written down; a keep-alive takes that back before it is
    /// answered.
    @Test func aCheckpointIsTakenBackByAKeepAlive() {
        var clock = LeaseClock(leases: [lease(1024, 1000)], now: at(0))
        #expect(clock.leadershipBegan(in: Term(1), now: at(0)) == [])
        #expect(clock.advanced(now: at(299)) == [])
        let checkpoint = LeaseCheckpoint(
            id: LeaseID(1024), generation: first, remainingSeconds: 700)
        #expect(
            clock.advanced(now: at(300.5))
                == [.propose(.checkpoint([checkpoint], term: Term(1)))])
        let renewal = LeaseCommand.renew(LeaseID(1024), generation: first, term: Term(1))
        #expect(
            clock.keptAlive(7, LeaseID(1024), confirmedIn: Term(1), now: at(400))
                == [.propose(renewal)])
        #expect(clock.keptAlive(8, LeaseID(1024), confirmedIn: Term(1), now: at(401)) == [])
        #expect(
            clock.changed(.checkpointed(lease(1024, 1000, remaining: 700)), now: at(402)) == [])
        #expect(
            clock.changed(.begun(lease(1024, 1000, generation: 9)), now: at(403))
                == [.answer(7, .renewed(seconds: 1000)), .answer(8, .renewed(seconds: 1000))])
        #expect(
            clock.keptAlive(9, LeaseID(1024), confirmedIn: Term(1), now: at(404))
                == [.answer(9, .renewed(seconds: 1000))])
        #expect(
            clock.remaining(of: LeaseID(1024), confirmedIn: Term(1), now: at(405.5))
                == .left(seconds: 998, granted: 1000))
    }

    /// docs/leases.md: a change of leaders gives a lease no more than the checkpoint interval, its
    /// spread, and the second that is rounded up.
    @Test func changesOfLeadersDoNotKeepALeaseForEver() {
        var left = lease(1, 3600)
        var time = 0.0
        var changes = 0
        while true {
            var clock = LeaseClock(leases: [left], now: at(time))
            #expect(clock.leadershipBegan(in: Term(1), now: at(time)) == [])
            var effects: [LeaseEffect] = []
            let end = time + 500
            while effects.isEmpty, time < end {
                time += 0.5
                effects = clock.advanced(now: at(time))
            }
            if effects == [expiry(term: 1)] { break }
            guard case .propose(.checkpoint(let checkpoints, _)) = effects.first else {
                Issue.record("no checkpoint within 500 s")
                return
            }
            left.remainingSeconds = checkpoints[0].remainingSeconds
            // The leader is lost a while after it has written that down.
            time += 200
            changes += 1
        }
        #expect(changes > 5)
        #expect(time <= 3600 + Double(changes) * (300 * 1.25 + 1), "\(time) after \(changes)")
    }

    /// A keep-alive costs nothing in the queue, and leases that ended leave nothing behind.
    @Test func theQueueStaysAsLargeAsTheLeases() {
        var clock = LeaseClock(leases: [], now: at(0))
        #expect(clock.leadershipBegan(in: Term(1), now: at(0)) == [])
        for round in 0..<2_000 {
            let id = Int64(round)
            let begun = Lease(id: LeaseID(id), seconds: 3600, generation: LogIndex(1))
            #expect(clock.changed(.begun(begun), now: at(Double(round))) == [])
            for token in 0..<5 as Range<UInt64> {
                _ = clock.keptAlive(
                    token, LeaseID(id), confirmedIn: Term(1), now: at(Double(round)))
            }
            if round >= 10 { _ = clock.changed(.ended(LeaseID(id - 10)), now: at(Double(round))) }
        }
        #expect(clock.count == 10)
        #expect(clock.queueCount <= 2 * 10 + 65)
        clock.checkInvariants()
    }
}
