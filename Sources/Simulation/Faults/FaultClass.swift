/// What a run can do to the cluster. `--faults` names them; a report counts each.
package enum FaultClass: String, CaseIterable, Hashable, Sendable {
    // The network.
    case loss
    /// A message that takes up to seconds.
    case delay
    case duplication
    /// Messages of one link overtake each other.
    case reordering
    /// Two parts of the cluster do not hear each other.
    case partition
    /// One direction of a link is cut.
    case oneWay
    /// Some pairs of nodes do not hear each other, though others hear both.
    case partialPartition

    // Processes and machines.
    /// The process ends; what it had written, but not synced, is kept.
    case kill
    /// The power goes: what was not synced is lost, kept or torn.
    case power
    /// The power of all nodes goes at once.
    case blackout
    /// A process stands still and goes on.
    case pause

    // Disks.
    case slowDisk
    /// Log and engine are refused room until there is some again, and the node stops meanwhile.
    case fullDisk
    /// A write or sync of the log fails, and the node stops.
    case logError
    /// A flush or commit of the engine fails, and the node stops.
    case engineError
    case bitRot
    case misdirectedWrite
    case lostWrite
    case unreadable
    /// One of the classes of `MemoryDamage` beneath the state machine.
    case engineDamage
    /// A volume comes back as it was at an earlier stop.
    case rollback
    /// A volume comes back empty: the operator gives the node new seats.
    case wipe

    // Clocks.
    /// Wall clocks differ.
    case skew
    /// A wall clock jumps.
    case clockJump
    /// Monotonic clocks run faster or slower, within the bound that leases rely on.
    case drift

    // What operators do meanwhile.
    case membership
    case transfer
    /// A snapshot's transfer breaks off.
    case snapshotBreak
}

/// A set of fault classes as a list reads: `loss,power`, `all`, `none`, `all-rollback-wipe`.
package struct FaultSet: Hashable, Sendable, CustomStringConvertible {
    private var bits: UInt64

    package static let all = FaultSet(FaultClass.allCases)
    package static let none = FaultSet([])

    package init(_ classes: [FaultClass]) {
        bits = 0
        for fault in classes { insert(fault) }
    }

    /// nil where a name is not one of a fault.
    package init?(_ text: String) {
        var parts = text.split(separator: ",", omittingEmptySubsequences: true).map(String.init)
        self = .none
        if let first = parts.first, first == "none" || first.split(separator: "-").first == "all" {
            parts.removeFirst()
            let taken = first.split(separator: "-").map(String.init)
            if first != "none" { self = .all }
            for name in taken.dropFirst() {
                guard let fault = FaultClass(rawValue: name) else { return nil }
                remove(fault)
            }
        }
        for name in parts {
            guard let fault = FaultClass(rawValue: name) else { return nil }
            insert(fault)
        }
    }

    package var classes: [FaultClass] { FaultClass.allCases.filter(contains) }

    package func contains(_ fault: FaultClass) -> Bool { bits & Self.bit(fault) != 0 }
    package mutating func insert(_ fault: FaultClass) { bits |= Self.bit(fault) }
    package mutating func remove(_ fault: FaultClass) { bits &= ~Self.bit(fault) }

    private static func bit(_ fault: FaultClass) -> UInt64 {
        1 << UInt64(FaultClass.allCases.firstIndex(of: fault)!)
    }

    package var description: String {
        if self == .all { return "all" }
        if self == .none { return "none" }
        return classes.map(\.rawValue).joined(separator: ",")
    }
}
