import RecordModel

/// Searches an order of one key's operations that explains every answer (Wing and Gong, "Testing
/// and verifying concurrent objects", 1993), as Lowe refines it ("Testing for linearizability",
/// 2017): configurations that were met before are not looked at again, and operations are placed
/// just in time.
///
/// It walks over the events in real time and keeps all configurations that explain the answers so
/// far. When an operation returns, each configuration that has not placed it is extended by
/// operations under way until it has. Between returns nothing needs to be placed, but for
/// observers: one that changes nothing where it stands is placed at once, since no order loses by
/// that.
///
/// An operation of unknown outcome stays open behind its time. It is placed only where the next
/// operation sees it: right before a blind write it could as well never have happened. Of two
/// configurations that differ in what is used up only, the one that used less is kept.
///
/// Invariants, between events:
/// 1. `configurations` is not empty, and none ends unseen.
/// 2. Every configuration explains all answers so far; an operation that has returned is placed.
/// 3. Slots belong to `pending` and `open` only.
struct KeySearch {
    enum Result {
        case linearizable
        case violation(HistoryViolation)
        case unknown(steps: Int)
    }

    let part: KeyPart
    private let stepsMax: Int
    /// Attempts to place an operation, and comparisons of configurations.
    private(set) var steps = 0
    var witness = Witness()
    private(set) var configurations: [KeyConfiguration]
    /// Answered operations under way, in the order of their invocations.
    private(set) var pending: [Int] = []
    /// Operations of unknown outcome that some configuration has not used.
    private(set) var open: [Int] = []
    /// By operation; -1 before it is invoked, and where it was retired.
    private var slots: [Int]
    /// By operation of unknown outcome: the latest before it that does the same.
    private var twins: [Int?]
    private var pendingSlots = SlotAllocator()
    private var openSlots = SlotAllocator()

    init(_ part: KeyPart, from initial: Revision, stepsMax: Int) {
        self.part = part
        configurations = [KeyConfiguration(register: KeyRegister(floor: initial.rawValue))]
        self.stepsMax = stepsMax
        slots = Array(repeating: -1, count: part.operations.count)
        twins = Array(repeating: nil, count: part.operations.count)
    }

    mutating func run() -> Result {
        if let entry = part.malformed.first { return .violation(explain(malformed: entry)) }
        for event in part.events {
            switch event {
            case .invoked(let operation): invoked(operation)
            case .returned(let operation):
                guard let next = returned(operation) else { return .unknown(steps: steps) }
                if next.isEmpty { return .violation(explain(stuckAt: operation)) }
                configurations = next
                pending.removeAll { $0 == operation }
                pendingSlots.free(slots[operation])
                retire()
            }
        }
        return .linearizable
    }

    // MARK: Events

    private mutating func invoked(_ operation: Int) {
        guard part.operations[operation].isAnswered else {
            slots[operation] = openSlots.take()
            let step = part.operations[operation].step
            twins[operation] = open.last { part.operations[$0].step == step }
            open.append(operation)
            return
        }
        slots[operation] = pendingSlots.take()
        pending.append(operation)
        guard part.operations[operation].step.observes else { return }
        for index in configurations.indices {
            var configuration = configurations[index]
            observe(operation, &configuration)
            configurations[index] = configuration
        }
    }

    /// The configurations in which the operation is placed. nil at the limit.
    private mutating func returned(_ operation: Int) -> [KeyConfiguration]? {
        let slot = slots[operation]
        var found = KeyConfigurations()
        var seen = KeyConfigurations()
        var work: [KeyConfiguration] = []
        for var configuration in configurations {
            if configuration.writes.contains(slot) || configuration.observers.contains(slot) {
                configuration.writes.remove(slot)
                configuration.observers.remove(slot)
                _ = found.insert(configuration)
            } else {
                work.append(configuration)
            }
        }
        let step = part.operations[operation].step
        defer { steps += found.comparisons + seen.comparisons }
        while let configuration = work.popLast() {
            guard steps + found.comparisons + seen.comparisons < stepsMax else { return nil }
            if !(configuration.endsUnseen && step.isBlind) {
                steps += 1
                if let register = step.apply(to: configuration.register) {
                    var next = configuration
                    next.register = register
                    next.endsUnseen = false
                    note(operation, &next)
                    settle(&next, but: operation)
                    _ = found.insert(next)
                    // What stands before an operation that changes nothing can stand behind it.
                    if register == configuration.register { continue }
                }
            }
            for next in extensions(of: configuration, but: operation) where seen.insert(next) {
                work.append(next)
            }
        }
        return found.all
    }

    // MARK: Placing

    /// The configuration with one more operation placed, in every way that can matter.
    private mutating func extensions(
        of configuration: KeyConfiguration, but returning: Int
    ) -> [KeyConfiguration] {
        var extensions: [KeyConfiguration] = []
        for operation in pending where operation != returning {
            let slot = slots[operation]
            let step = part.operations[operation].step
            if configuration.writes.contains(slot) || configuration.observers.contains(slot) {
                continue
            }
            if configuration.endsUnseen && step.isBlind { continue }
            steps += 1
            guard let register = step.apply(to: configuration.register) else { continue }
            var next = configuration
            next.register = register
            next.endsUnseen = false
            if step.observes { next.observers.insert(slot) } else { next.writes.insert(slot) }
            note(operation, &next)
            settle(&next, but: returning)
            extensions.append(next)
        }
        for operation in open {
            let step = part.operations[operation].step
            if configuration.used.contains(slots[operation]) { continue }
            // Of operations that do the same, the first that is left stands for all.
            if let twin = twins[operation], slots[twin] >= 0,
                !configuration.used.contains(slots[twin])
            {
                continue
            }
            if configuration.endsUnseen && step.isBlind { continue }
            steps += 1
            guard let register = step.takeEffect(on: configuration.register) else { continue }
            var next = configuration
            next.register = register
            next.endsUnseen = true
            next.used.insert(slots[operation])
            note(operation, &next)
            settle(&next, but: returning)
            extensions.append(next)
        }
        return extensions
    }

    /// Places the observers that the state satisfies as it is.
    private mutating func settle(_ configuration: inout KeyConfiguration, but returning: Int) {
        for operation in pending
        where operation != returning && part.operations[operation].step.observes {
            observe(operation, &configuration)
        }
    }

    private mutating func observe(_ operation: Int, _ configuration: inout KeyConfiguration) {
        let slot = slots[operation]
        guard !configuration.observers.contains(slot) else { return }
        steps += 1
        let register = part.operations[operation].step.apply(to: configuration.register)
        guard register == configuration.register else { return }
        configuration.observers.insert(slot)
        configuration.endsUnseen = false
        note(operation, &configuration)
    }

    private mutating func note(_ operation: Int, _ configuration: inout KeyConfiguration) {
        configuration.witness = witness.append(operation, after: configuration.witness)
    }

    /// Forgets the operations of unknown outcome that every configuration has used.
    private mutating func retire() {
        let used = open.filter { operation in
            configurations.allSatisfy { $0.used.contains(slots[operation]) }
        }
        guard !used.isEmpty else { return }
        for operation in used {
            for index in configurations.indices {
                configurations[index].used.remove(slots[operation])
            }
            openSlots.free(slots[operation])
            slots[operation] = -1
        }
        open.removeAll { used.contains($0) }
    }
}

/// Hands out the smallest free number.
struct SlotAllocator {
    private var isTaken: [Bool] = []

    mutating func take() -> Int {
        let slot = isTaken.firstIndex(of: false) ?? isTaken.count
        if slot == isTaken.count { isTaken.append(true) } else { isTaken[slot] = true }
        return slot
    }

    mutating func free(_ slot: Int) {
        precondition(isTaken[slot], "slot \(slot) is free already")
        isTaken[slot] = false
    }
}
