import Foundation
import NIOCore
import Primitives
import RecordModel
import SwiftProtobuf
import Testing
import WireProtocol

@testable import NodeRuntime
@testable import RecordStore

/// What is written by hand is what the generated code reads, and byte for byte what it writes.
@Suite struct WatchEncodingTests {
    private func record(_ key: Bytes, _ value: Bytes, _ mod: Int64, lease: Int64 = 0) -> Record {
        Record(
            key: key, value: value, createRevision: Revision(max(mod - 3, 1)),
            modRevision: Revision(mod), version: 4, lease: lease, timestamp: .zero)
    }

    private func delivery(
        _ events: [WatchEvent], watch: Int64 = 3, withPrevious: Bool = true, fragment: Bool = false
    ) -> WatchDelivery {
        WatchDelivery(
            stream: WatchStreamID(1), watch: watch, events: events, withPrevious: withPrevious,
            revision: Revision(77), moreFollows: fragment)
    }

    @Test func theBytesAreThoseOfTheGeneratedCode() throws {
        let long = Bytes(repeating: 7, count: 20_000)
        let old = record([1], [], 5)
        let events = [
            WatchEvent(
                key: [1], revision: Revision(9), subRevision: 0,
                record: record([1], long, 9, lease: -5), previous: old),
            WatchEvent(
                key: [1], revision: Revision(10), subRevision: 0, record: nil,
                previous: record([1], long, 9)),
            WatchEvent(
                key: [0, 255], revision: Revision(1 << 40), subRevision: 1,
                record: record([0, 255], [0], 1 << 40), previous: nil),
        ]
        let encoder = WatchResponseEncoder(cluster: .max, member: 1, term: 300)
        for watch in [Int64(0), 1, 300, -1] {
            for (withPrevious, fragment) in [(true, false), (false, true)] {
                var wanted = Etcdserverpb_WatchResponse()
                wanted.header.clusterID = .max
                wanted.header.memberID = 1
                wanted.header.revision = 77
                wanted.header.raftTerm = 300
                wanted.watchID = watch
                wanted.fragment = fragment
                wanted.events = events.map { event in
                    var wire = Mvccpb_Event()
                    wire.type = event.isDeletion ? .delete : .put
                    if let record = event.record {
                        wire.kv = Mvccpb_KeyValue(record)
                    } else {
                        wire.kv.key = .init(event.key)
                        wire.kv.modRevision = event.revision.rawValue
                    }
                    if withPrevious, let previous = event.previous {
                        wire.prevKv = Mvccpb_KeyValue(previous)
                    }
                    return wire
                }
                let buffer = encoder.encode(
                    delivery(events, watch: watch, withPrevious: withPrevious, fragment: fragment),
                    allocator: ByteBufferAllocator())
                #expect(
                    Array(buffer.readableBytesView) == (try wanted.serializedBytes() as [UInt8]))
            }
        }
    }

    /// etcd `recvLoop`: an empty key is the first key there can be; `\0` as the end has no end.
    @Test func requestsMeanWhatTheyMeanInEtcd() {
        var wire = Etcdserverpb_WatchCreateRequest()
        #expect(WatchRequest(wire).range == .key([0]))
        wire.rangeEnd = .init([0])
        #expect(WatchRequest(wire).range == .everything)
        wire.key = .init([5])
        #expect(WatchRequest(wire).range == KeyRange(lower: [5], end: .unbounded))
        wire.rangeEnd = .init([6])
        #expect(WatchRequest(wire).range == KeyRange(lower: [5], end: .before([6])))
        #expect(WatchRequest(wire).start == nil)
        #expect(WatchRequest(wire).id == nil)
        wire.filters = [.noput, .nodelete, .UNRECOGNIZED(9)]
        wire.startRevision = -3
        wire.watchID = -7
        #expect(WatchRequest(wire).leavesOutPuts && WatchRequest(wire).leavesOutDeletions)
        #expect(WatchRequest(wire).start == Revision(-3))
        #expect(WatchRequest(wire).id == -7)
        #expect(WatchInput.Request(Etcdserverpb_WatchRequest()) == nil)
    }

    @Test(arguments: [
        ("10m", 600_000), ("1h30m", 5_400_000), ("1.5s", 1_500), ("250ms", 250), ("0", 0),
    ])
    func durationsAreWrittenAsInGo(text: String, milliseconds: Int) {
        #expect(GoDuration.parse(text) == .milliseconds(milliseconds))
    }

    @Test(arguments: ["", "5", "s", "-1s", "1 s", "1x", "1..2s", "99999999h", "1s-2s"])
    func whatIsNoDurationIsRefused(text: String) {
        #expect(GoDuration.parse(text) == nil)
    }

    /// etcd `monitorLeader`: three looks in a row without a leader.
    @Test func aLeaderMayBeAwayForAMoment() {
        var watch = LeaderWatch(interval: 10)
        #expect(watch.due == nil)
        watch.add(WatchStreamID(1), now: 0)
        watch.add(WatchStreamID(2), now: 5)
        var lost: [[WatchStreamID]] = []
        for (now, isThere) in [
            (9, false), (10, false), (20, false), (30, true), (40, false),
            (50, false), (60, false),
        ] as [(UInt64, Bool)] {
            lost.append(watch.look(now: now) { id in isThere || id == WatchStreamID(2) })
        }
        #expect(lost == [[], [], [], [], [], [], [WatchStreamID(1)]])
        watch.remove(WatchStreamID(1))
        watch.remove(WatchStreamID(2))
        #expect(watch.due == nil)
    }
}
