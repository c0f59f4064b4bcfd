import Primitives

/// One cell of the matrix {log, snapshot, metadata} × {corrupt, unreadable, torn tail} × {sets of
/// replicas}: what is harmed, how, on whose disks, and who is started afterwards.
package struct MatrixCell: Hashable, Sendable, CustomStringConvertible {
    package enum Fault: String, CaseIterable, Hashable, Sendable {
        case corrupt
        case unreadable
        case torn
    }

    /// Which of the entries in a log.
    package enum Place: String, CaseIterable, Hashable, Sendable {
        /// The first that all victims still have.
        case first
        case middle
        /// The last that all victims have.
        case last
        /// The last of each victim's own log, committed or not.
        case tail
        /// Another one on each victim.
        case different
    }

    /// A record is written twice over: itself, and its name among the identifiers.
    package enum Part: String, CaseIterable, Hashable, Sendable {
        case record
        case identifiers
        case both
    }

    package enum Aim: Hashable, Sendable {
        /// With fault `torn`: one that is being appended when the power goes.
        case entry(Place, Part)
        /// The newest. With fault `torn`: one that is being written when the power goes.
        case hardState(Part)
        /// The newest statement of where the group's log begins.
        case groupStart(Part)
        case firstHeader
        case lastHeader
        case allHeaders
        /// The state machine's state. With fault `torn`: as it was at its last flush.
        case state
    }

    package var replicas: Int
    /// Of `MatrixScene.Leaders`.
    package var leaders: Int
    /// Which of the scene's groups: 0 makes snapshots, 1 keeps its whole log.
    package var group: Int
    package var aim: Aim
    package var fault: Fault
    /// Bit n for node n.
    package var victims: UInt8
    package var sleepers: UInt8

    package var structure: String {
        switch aim {
        case .entry: "log"
        case .hardState, .groupStart, .firstHeader, .lastHeader, .allHeaders: "metadata"
        case .state: "snapshot"
        }
    }

    func isVictim(_ node: Int) -> Bool { victims & 1 << UInt8(node) != 0 }
    func isLive(_ node: Int) -> Bool { sleepers & 1 << UInt8(node) == 0 }

    private var shownAim: String {
        switch aim {
        case .entry(let place, let part): "entry \(place.rawValue) \(part.rawValue)"
        case .hardState(let part): "hard state \(part.rawValue)"
        case .groupStart(let part): "group start \(part.rawValue)"
        case .firstHeader: "first header"
        case .lastHeader: "last header"
        case .allHeaders: "all headers"
        case .state: "state"
        }
    }

    package var description: String {
        func members(_ set: UInt8) -> String {
            "{"
                + (0..<8).filter { set & 1 << UInt8($0) != 0 }.map { "\($0 + 1)" }
                .joined(separator: ",") + "}"
        }
        return
            "\(replicas) replicas, leaders \(leaders), group \(group + 1), \(shownAim) \(fault.rawValue) on "
            + "\(members(victims))" + (sleepers == 0 ? "" : ", \(members(sleepers)) stay down")
    }
}
