import Primitives
import StorageEngine
import Testing

/// Random batches, walks, flushes, restarts and crashes, beside a dictionary that says what must be
/// there. A failure names its seed, which repeats the run.
@Suite final class RandomModelTests: EngineSuite {
    typealias Contents = [Bytes: Bytes]

    @Test(arguments: EngineKind.allCases, Array(1...25) as [UInt64])
    func everyStepAgreesWithTheModel(_ kind: EngineKind, seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let subject = try makeSubject(kind)
        // The states since the last flush: a crash may fall back to any of them.
        var states: [Contents] = [[:]]
        var views: [(view: any ReadView, contents: Contents)] = []

        for step in 0..<250 {
            let place: Comment = "seed \(seed), step \(step)"
            switch Int.random(in: 0..<100, using: &generator) {
            case 0..<55:
                let batch = randomBatch(&generator)
                try subject.engine.commit(batch)
                states.append(applying(batch, to: states[states.count - 1]))
            case 55..<65:
                views.append((try subject.engine.makeReadView(), states[states.count - 1]))
                if views.count > 4 { views.removeFirst() }
            case 65..<85:
                let held = views.randomElement(using: &generator)
                let view = try held?.view ?? subject.engine.makeReadView()
                let contents = held?.contents ?? states[states.count - 1]
                try compare(view, with: contents, &generator, place)
            case 85..<93:
                try subject.engine.flush()
                states = [states[states.count - 1]]
                let key = randomKey(&generator)
                #expect(try subject.engine.persistedValue(for: key) == states[0][key], place)
            case 93..<96:
                views = []
                try subject.restart()
                states = [states[states.count - 1]]
            case 96..<98:
                views = []
                try subject.crash(seed: generator.next())
                let found = try contents(of: subject.engine.makeReadView())
                try #require(states.contains(found), place)
                states = [found]
            default:
                views = []
            }
        }
        let found = try contents(of: subject.engine.makeReadView())
        #expect(found == states[states.count - 1], "seed \(seed), end")
    }

    private func contents(of view: any ReadView) throws -> Contents {
        let entries = try view.entries()
        return Contents(uniqueKeysWithValues: entries.map { ($0.key, $0.value) })
    }

    /// One lookup and one random walk between random bounds.
    private func compare(
        _ view: any ReadView, with contents: Contents, _ generator: inout SeededGenerator,
        _ place: Comment
    ) throws {
        let probe = randomKey(&generator)
        #expect(try view.value(for: probe) == contents[probe], place)

        let lower = randomKey(&generator)
        let upper: Bytes? = Bool.random(using: &generator) ? randomKey(&generator) : nil
        let inBounds = contents.keys.sorted { $0.lexicographicallyPrecedes($1) }
            .filter { key in
                !key.lexicographicallyPrecedes(lower)
                    && (upper.map { key.lexicographicallyPrecedes($0) } ?? true)
            }
        let iterator = try view.makeIterator(lower: lower, upper: upper)
        let target = randomKey(&generator)
        var position: Int?
        if Bool.random(using: &generator) {
            iterator.seek(to: target)
            position = inBounds.firstIndex { !$0.lexicographicallyPrecedes(target) }
        } else {
            iterator.seekBackwards(to: target)
            position = inBounds.lastIndex { !target.lexicographicallyPrecedes($0) }
        }
        for _ in 0..<12 {
            try iterator.checkStatus()
            try #require(iterator.isValid == (position != nil), place)
            guard let at = position else { return }
            try #require(iterator.key == inBounds[at], place)
            try #require(iterator.value == contents[inBounds[at]], place)
            let forwards = Int.random(in: 0..<3, using: &generator) > 0
            if forwards { iterator.next() } else { iterator.previous() }
            let next = forwards ? at + 1 : at - 1
            position = inBounds.indices.contains(next) ? next : nil
        }
    }

    private func applying(_ batch: WriteBatch, to before: Contents) -> Contents {
        var after = before
        for operation in batch.operations {
            switch operation {
            case .put(let key, let value): after[key] = value
            case .delete(let key): after[key] = nil
            case .deleteRange(let from, let to):
                after = after.filter {
                    $0.key.lexicographicallyPrecedes(from) || !$0.key.lexicographicallyPrecedes(to)
                }
            }
        }
        return after
    }

    private func randomBatch(_ generator: inout SeededGenerator) -> WriteBatch {
        var batch = WriteBatch()
        for _ in 0..<Int.random(in: 1...8, using: &generator) {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<7:
                // Large values now and then, so that memtables fill up between flushes.
                let large = Int.random(in: 0..<20, using: &generator) == 0
                let count = Int.random(in: 0...(large ? 20_000 : 40), using: &generator)
                let byte = UInt8.random(in: 0...255, using: &generator)
                batch.put(randomKey(&generator), Bytes(repeating: byte, count: count))
            case 7..<9: batch.delete(randomKey(&generator))
            default: batch.deleteRange(from: randomKey(&generator), to: randomKey(&generator))
            }
        }
        return batch
    }

    /// One of some 400 keys, at the edges of the byte order.
    private func randomKey(_ generator: inout SeededGenerator) -> Bytes {
        let alphabet: Bytes = [0, 1, 0x7F, 0x80, 0xFF]
        return (0..<Int.random(in: 0...3, using: &generator)).map { _ in
            alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
        }
    }
}
