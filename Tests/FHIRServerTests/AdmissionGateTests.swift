import Hummingbird
import NIOCore
import Synchronization
import Testing

@testable import FHIRServer

@Suite struct AdmissionGateTests {
    /// A gate for 10 that one request of 10 holds until told to leave.
    private struct Held: Sendable {
        let gate: AdmissionGate
        let release: AsyncStream<Void>.Continuation
        let holder: Task<Bool, Never>

        init(waitersMax: Int) async {
            let gate = AdmissionGate(capacity: 10, waitersMax: waitersMax)
            let (held, entered) = AsyncStream<Void>.makeStream()
            let (released, release) = AsyncStream<Void>.makeStream()
            self.gate = gate
            self.release = release
            holder = Task {
                await gate.withAdmission(weight: 10) {
                    entered.finish()
                    for await _ in released {}
                }
            }
            for await _ in held {}
        }
    }

    private final class Order: Sendable {
        let numbers = Mutex<[Int]>([])
    }

    @Test func requestBeyondTheQueueIsRefusedWithoutRunning() async {
        let held = await Held(waitersMax: 0)
        let isAdmitted = await held.gate.withAdmission(weight: 1) {
            Issue.record("ran without room")
        }
        #expect(!isAdmitted)
        held.release.finish()
        #expect(await held.holder.value)
        #expect(await held.gate.withAdmission(weight: 1) {})
    }

    @Test func waitersRunInTheirOrderOnceThereIsRoom() async {
        let held = await Held(waitersMax: 3)
        let order = Order()
        await withTaskGroup(of: Bool.self) { group in
            for number in 0..<3 {
                group.addTask {
                    await held.gate.withAdmission(weight: 10) {
                        order.numbers.withLock { $0.append(number) }
                    }
                }
                // The next joins once this one stands in the queue.
                while held.gate.waiting <= number { await Task.yield() }
            }
            let isAdmitted = await held.gate.withAdmission(weight: 1) {}
            #expect(!isAdmitted)
            #expect(order.numbers.withLock { $0 }.isEmpty)
            held.release.finish()
            for await admitted in group { #expect(admitted) }
        }
        #expect(order.numbers.withLock { $0 } == [0, 1, 2])
        #expect(held.gate.waiting == 0)
    }

    @Test func weightAboveTheCapacityTakesAllOfIt() async {
        let gate = AdmissionGate(capacity: 10, waitersMax: 0)
        let isAdmitted = await gate.withAdmission(weight: 1_000) {
            #expect(await !gate.withAdmission(weight: 1) {})
        }
        #expect(isAdmitted)
        #expect(await gate.withAdmission(weight: 10) {})
    }

    /// Only the time can end this: the body never does.
    @Test func bodyThatDoesNotEndIsGivenUp() async throws {
        let (pieces, sender) = AsyncStream<ByteBuffer>.makeStream()
        sender.yield(ByteBuffer(string: "{"))
        await #expect(throws: BodyCollection.TooSlow.self) {
            try await BodyCollection.collect(
                RequestBody(asyncSequence: pieces), upTo: 100, within: .milliseconds(1))
        }
    }

    @Test func bodyThatEndsIsWhole() async throws {
        let (pieces, sender) = AsyncStream<ByteBuffer>.makeStream()
        for piece in ["{", "}", " "] { sender.yield(ByteBuffer(string: piece)) }
        sender.finish()
        let body = RequestBody(asyncSequence: pieces)
        let whole = try await BodyCollection.collect(body, upTo: 3, within: .seconds(600))
        #expect(String(buffer: whole) == "{} ")
    }
}
