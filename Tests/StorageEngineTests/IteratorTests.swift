import Primitives
import StorageEngine
import Testing

/// What every engine's iterators owe.
@Suite final class IteratorTests: EngineSuite {
    /// Keys [10], [20] ... [90], half of them on disk.
    private func tens(_ kind: EngineKind) throws -> any StorageEngine {
        let engine = try makeEngine(kind)
        for i in stride(from: UInt8(10), through: 90, by: 20) { try engine.put([i], [i, i]) }
        try engine.flush()
        for i in stride(from: UInt8(20), through: 80, by: 20) { try engine.put([i], [i, i]) }
        return engine
    }

    @Test(arguments: EngineKind.allCases)
    func seekStandsOnTheFirstKeyNotBelow(_ kind: EngineKind) throws {
        let iterator = try tens(kind).makeReadView().makeIterator(lower: [20], upper: [80])
        #expect(!iterator.isValid)
        let cases: [(Bytes, UInt8?)] = [
            ([], 20), ([10], 20), ([20], 20), ([20, 0], 30), ([25], 30), ([70], 70), ([71], nil),
            ([80], nil), ([0xFF], nil),
        ]
        for (target, expected) in cases {
            iterator.seek(to: target)
            try iterator.checkStatus()
            #expect(iterator.isValid == (expected != nil), "seek to \(target)")
            if let expected, iterator.isValid {
                #expect(iterator.key == [expected], "seek to \(target)")
                #expect(iterator.value == [expected, expected])
            }
        }
    }

    @Test(arguments: EngineKind.allCases)
    func seekBackwardsStandsOnTheLastKeyNotAbove(_ kind: EngineKind) throws {
        let iterator = try tens(kind).makeReadView().makeIterator(lower: [20], upper: [80])
        let cases: [(Bytes, UInt8?)] = [
            ([0xFF], 70), ([80], 70), ([79], 70), ([70, 0], 70), ([70], 70), ([69, 0xFF], 60),
            ([20], 20), ([19], nil), ([], nil),
        ]
        for (target, expected) in cases {
            iterator.seekBackwards(to: target)
            try iterator.checkStatus()
            #expect(iterator.isValid == (expected != nil), "seek backwards to \(target)")
            if let expected, iterator.isValid {
                #expect(iterator.key == [expected], "seek backwards to \(target)")
            }
        }
    }

    @Test(arguments: EngineKind.allCases)
    func walksEndAtTheBounds(_ kind: EngineKind) throws {
        let iterator = try tens(kind).makeReadView().makeIterator(lower: [30], upper: [70])
        var up: [UInt8] = []
        iterator.seek(to: [])
        while iterator.isValid {
            up += iterator.key
            iterator.next()
        }
        try iterator.checkStatus()
        #expect(up == [30, 40, 50, 60])
        var down: [UInt8] = []
        iterator.seekBackwards(to: [0xFF])
        while iterator.isValid {
            down += iterator.key
            iterator.previous()
        }
        try iterator.checkStatus()
        #expect(down == [60, 50, 40, 30])
    }

    @Test(arguments: EngineKind.allCases)
    func aWalkMayTurn(_ kind: EngineKind) throws {
        let iterator = try tens(kind).makeReadView().makeIterator(lower: [], upper: nil)
        iterator.seek(to: [40])
        iterator.next()
        iterator.previous()
        #expect(iterator.isValid && iterator.key == [40])
        iterator.previous()
        iterator.next()
        iterator.next()
        #expect(iterator.isValid && iterator.key == [50])
        iterator.seekBackwards(to: [55])
        iterator.next()
        #expect(iterator.isValid && iterator.key == [60] && iterator.value == [60, 60])
    }

    @Test(arguments: EngineKind.allCases)
    func anUnboundedIteratorReachesTheLastKey(_ kind: EngineKind) throws {
        let engine = try tens(kind)
        try engine.put([0xFF, 0xFF], [])
        let iterator = try engine.makeReadView().makeIterator(lower: [85], upper: nil)
        iterator.seekBackwards(to: [0xFF, 0xFF, 0xFF])
        #expect(iterator.isValid && iterator.key == [0xFF, 0xFF])
        iterator.previous()
        #expect(iterator.isValid && iterator.key == [90])
        iterator.previous()
        #expect(!iterator.isValid)
        try iterator.checkStatus()
    }

    @Test(arguments: EngineKind.allCases)
    func emptyAndInvertedBoundsHoldNothing(_ kind: EngineKind) throws {
        let view = try tens(kind).makeReadView()
        for (lower, upper) in [([50], [50]), ([60], [40]), ([], []), ([51], [59])]
            as [(Bytes, Bytes)]
        {
            let iterator = try view.makeIterator(lower: lower, upper: upper)
            for target in [[], [40], [50], [55], [60], [0xFF]] as [Bytes] {
                iterator.seek(to: target)
                #expect(!iterator.isValid, "\(lower)..<\(upper), \(target)")
                iterator.seekBackwards(to: target)
                #expect(!iterator.isValid, "\(lower)..<\(upper), \(target)")
                try iterator.checkStatus()
            }
        }
    }

    @Test(arguments: EngineKind.allCases)
    func keysAndValuesCanBeBorrowed(_ kind: EngineKind) throws {
        let iterator = try tens(kind).makeReadView().makeIterator(lower: [], upper: nil)
        iterator.seek(to: [30])
        #expect(iterator.withKey { $0.count == 1 && $0[0] == 30 })
        #expect(iterator.withValue { $0.count == 2 && $0[0] == 30 && $0[1] == 30 })
    }

    @Test(arguments: EngineKind.allCases)
    func anIteratorHoldsItsViewAndEngine(_ kind: EngineKind) throws {
        var iterator: (any EngineIterator)?
        do {
            let engine = try tens(kind)
            iterator = try engine.makeReadView().makeIterator(lower: [], upper: nil)
        }
        iterator?.seek(to: [35])
        #expect(iterator?.key == [40])
    }
}
