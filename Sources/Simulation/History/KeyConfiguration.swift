/// What an order of a key's operations up to some moment leaves: the register, and which of the
/// operations under way have been placed (Lowe, "Testing for linearizability", 2017, section 3).
struct KeyConfiguration {
    var register = KeyRegister()
    /// Slots of placed writes whose answer has not come yet.
    var writes = SlotSet()
    /// Slots of placed observers whose answer has not come yet.
    var observers = SlotSet()
    /// Slots of operations of unknown outcome that have taken effect.
    var used = SlotSet()
    /// The last one placed is of unknown outcome, and nothing has seen its effect.
    var endsUnseen = false
    /// Where the order is found in the search's `Witness`.
    var witness = Witness.empty

    /// Whether every order that can follow `other` can follow this, up to operations that are
    /// placed already here or need not be placed.
    func covers(_ other: KeyConfiguration) -> Bool {
        other.observers.isSubset(of: observers) && used.isSubset(of: other.used)
            && register.covers(other.register)
    }
}

/// Configurations of which none covers another one found later.
struct KeyConfigurations {
    private(set) var all: [KeyConfiguration] = []
    /// How often two were held against each other.
    private(set) var comparisons = 0
    /// By what must be equal for one to cover another; filled once there are more than a few.
    private var places: [Likeness: [Int]] = [:]

    private static let scannedMax = 12

    private struct Likeness: Hashable {
        var writes: SlotSet
        var value: Int32
        var modRevision: Int64
        var endsUnseen: Bool

        init(_ configuration: KeyConfiguration) {
            writes = configuration.writes
            value = configuration.register.value
            modRevision = configuration.register.modRevision
            endsUnseen = configuration.endsUnseen
        }
    }

    /// False where it is covered by one that is here.
    mutating func insert(_ new: KeyConfiguration) -> Bool {
        if all.count < Self.scannedMax {
            comparisons += all.count
            for index in all.indices {
                let old = all[index]
                guard old.writes == new.writes, old.endsUnseen == new.endsUnseen else { continue }
                if old.covers(new) { return false }
                if new.covers(old) {
                    all[index] = new
                    return true
                }
            }
            all.append(new)
            return true
        }
        if places.isEmpty {
            for index in all.indices { places[Likeness(all[index]), default: []].append(index) }
        }
        let likeness = Likeness(new)
        comparisons += places[likeness]?.count ?? 0
        for index in places[likeness, default: []] {
            if all[index].covers(new) { return false }
            if new.covers(all[index]) {
                all[index] = new
                return true
            }
        }
        places[likeness, default: []].append(all.count)
        all.append(new)
        return true
    }
}

/// The orders of all configurations, as a tree from the last operation to the first.
struct Witness {
    static let empty: Int32 = -1
    private var nodes: [(before: Int32, operation: Int32)] = []

    mutating func append(_ operation: Int, after node: Int32) -> Int32 {
        nodes.append((node, Int32(operation)))
        return Int32(nodes.count - 1)
    }

    func order(endingAt node: Int32) -> [Int] {
        var order: [Int] = []
        var node = node
        while node != Self.empty {
            order.append(Int(nodes[Int(node)].operation))
            node = nodes[Int(node)].before
        }
        return order.reversed()
    }
}
