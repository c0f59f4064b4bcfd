/// All cells, and what came of them.
package struct RecoveryMatrix {
    package enum Extent: Sendable {
        /// Every set of three replicas with everybody started, and sets of five that differ in more
        /// than a name.
        case symmetric
        /// Every set of three and five, other leaders, and only quorums started.
        case exhaustive
    }

    package static func cells(_ extent: Extent) -> [MatrixCell] {
        var cells: [MatrixCell] = []
        for (number, (aim, fault)) in kinds.enumerated() {
            for group in 0..<2 {
                for (replicas, leaders) in scenes(extent) {
                    let isWhole = extent == .exhaustive || replicas == 3
                    if !isWhole && fault == .unreadable { continue }
                    if !isWhole || extent == .symmetric && fault == .unreadable,
                        number % 2 != group
                    {
                        continue
                    }
                    for victims in 1..<UInt8(1 << replicas) {
                        if !isWhole || leaders == 2, !isDistinct(victims) { continue }
                        for sleepers in sleepers(extent, replicas, leaders, victims) {
                            cells.append(
                                MatrixCell(
                                    replicas: replicas, leaders: leaders, group: group, aim: aim,
                                    fault: fault, victims: victims, sleepers: sleepers))
                        }
                    }
                }
            }
        }
        return cells
    }

    static var kinds: [(MatrixCell.Aim, MatrixCell.Fault)] {
        var kinds: [(MatrixCell.Aim, MatrixCell.Fault)] = []
        for fault in [MatrixCell.Fault.corrupt, .unreadable] {
            for part in MatrixCell.Part.allCases {
                let places: [MatrixCell.Place] =
                    part == .identifiers ? [.middle, .tail] : MatrixCell.Place.allCases
                for place in places { kinds.append((.entry(place, part), fault)) }
                kinds.append((.hardState(part), fault))
                kinds.append((.groupStart(part), fault))
            }
            kinds.append((.firstHeader, fault))
            kinds.append((.lastHeader, fault))
            kinds.append((.allHeaders, fault))
            kinds.append((.state, fault))
        }
        kinds.append((.entry(.tail, .record), .torn))
        kinds.append((.hardState(.record), .torn))
        kinds.append((.state, .torn))
        return kinds
    }

    private static func scenes(_ extent: Extent) -> [(replicas: Int, leaders: Int)] {
        switch extent {
        case .symmetric: [(3, 0), (5, 0)]
        case .exhaustive: [(3, 0), (3, 1), (5, 0), (5, 2)]
        }
    }

    /// Of five, the third and fourth have lived through the same.
    private static func isDistinct(_ victims: UInt8) -> Bool { victims & 0b1100 != 0b1000 }

    /// Who stays down: nobody; and all but a quorum.
    private static func sleepers(
        _ extent: Extent, _ replicas: Int, _ leaders: Int, _ victims: UInt8
    ) -> [UInt8] {
        guard extent == .exhaustive, leaders == 0 else { return [0] }
        if replicas == 3 { return [0, 1, 2, 4] }
        return victims.nonzeroBitCount == 3 ? [0, 0b11000, 0b00011] : [0]
    }

    /// What became of the cells.
    package private(set) var counts = MatrixCounts()
    package private(set) var problems: [(cell: MatrixCell, problem: String)] = []
    private var scenes: [Int: (scene: MatrixScene, maps: [DiskMap])] = [:]

    package init() {}

    package mutating func run(_ cells: [MatrixCell]) {
        for cell in cells {
            do throws(MatrixMistake) {
                guard let trial = try trial(cell) else {
                    counts.empty += 1
                    continue
                }
                note(try trial.run())
            } catch {
                problems.append((cell, "\(error)"))
            }
        }
    }

    private mutating func trial(_ cell: MatrixCell) throws(MatrixMistake) -> MatrixTrial? {
        let key = cell.replicas * 10 + cell.leaders
        if scenes[key] == nil {
            let scene = try MatrixScene(replicas: cell.replicas, leaders: cell.leaders)
            scenes[key] = (scene, scene.images.map { DiskMap($0.device) })
        }
        return MatrixTrial(cell, scenes[key]!.scene, scenes[key]!.maps)
    }

    private mutating func note(_ outcome: MatrixOutcome) {
        counts.ran += 1
        if outcome.expected.allSatisfy({ $0 }) {
            counts.available += 1
        } else {
            counts.blocked += 1
        }
        if outcome.isUncertain { counts.uncertain += 1 }
        if !outcome.gaps.isEmpty { counts.gaps += 1 }
        if outcome.isHealed { counts.healed += 1 }
        for problem in outcome.problems { problems.append((outcome.cell, problem)) }
    }

    package mutating func add(_ other: RecoveryMatrix) {
        counts.add(other.counts)
        problems += other.problems
    }

    /// What happens in one cell.
    package static func trace(_ cell: MatrixCell) -> [String] {
        var matrix = RecoveryMatrix()
        do throws(MatrixMistake) {
            return try matrix.trial(cell)?.run(traceLines: 10_000).trace ?? []
        } catch {
            return ["\(error)"]
        }
    }

    package var summary: String {
        "recovery matrix: \(counts.ran) cells, \(counts.available) available, \(counts.blocked) "
            + "blocked as expected (\(counts.uncertain) by an entry that may have been committed, "
            + "\(counts.gaps) by a known gap), "
            + "\(counts.healed) of those healed, \(counts.empty) without anything to harm, "
            + "\(problems.count) problems"
    }
}

package struct MatrixCounts: Hashable, Sendable {
    package var ran = 0
    package var available = 0
    package var blocked = 0
    package var uncertain = 0
    package var healed = 0
    /// Blocked cells that ought to be available.
    package var gaps = 0
    /// Cells whose victims do not all have what was to be harmed.
    package var empty = 0

    mutating func add(_ other: MatrixCounts) {
        ran += other.ran
        available += other.available
        blocked += other.blocked
        uncertain += other.uncertain
        healed += other.healed
        gaps += other.gaps
        empty += other.empty
    }
}
