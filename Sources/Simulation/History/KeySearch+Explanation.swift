import RecordModel

extension KeySearch {
    /// Operations of the prefix that an explanation shows.
    private static let shownMax = 12

    func explain(malformed entry: KeyHistory.Entry) -> HistoryViolation {
        let summary = "\(name): an answer that does not belong to the request"
        return HistoryViolation(
            summary: summary, prefix: [], unplaced: [entry.id],
            lines: [summary, "  " + entry.described])
    }

    /// No configuration can place an operation that returns.
    func explain(stuckAt operation: Int) -> HistoryViolation {
        let stuck = part.operations[operation].entry
        // The orders differ in what is under way only. The longest places the most of it.
        var order: [Int] = []
        var best = configurations[0]
        for configuration in configurations {
            let candidate = witness.order(endingAt: configuration.witness)
            if candidate.count > order.count { (order, best) = (candidate, configuration) }
        }
        let placed = Set(order)
        let unplaced = [operation] + pending.filter { $0 != operation && !placed.contains($0) }
        let summary = "\(name) is not linearizable: no order explains \(stuck.id)'s answer"
        var lines = [summary, "the longest order of what came before (\(order.count) operations):"]
        if order.count > Self.shownMax { lines.append("  …") }
        for operation in order.suffix(Self.shownMax) {
            lines.append("  " + part.operations[operation].entry.described)
        }
        lines.append("which leaves the key: " + described(best.register))
        let others = configurations.map { described($0.register) }.filter {
            $0 != described(best.register)
        }
        if !others.isEmpty {
            lines.append("other orders leave it: " + unique(others).joined(separator: "; "))
        }
        lines.append("without a place:")
        for operation in unplaced {
            lines.append("  " + part.operations[operation].entry.described)
        }
        let unused = open.filter { !placed.contains($0) }
        if !unused.isEmpty {
            lines.append("of unknown outcome, and no help:")
            for operation in unused.suffix(Self.shownMax) {
                lines.append("  " + part.operations[operation].entry.described)
            }
        }
        if !part.refused.isEmpty {
            lines.append("refused, so without effect:")
            for entry in part.refused.suffix(Self.shownMax) {
                lines.append("  " + entry.described)
            }
        }
        return HistoryViolation(
            summary: summary, prefix: order.map { part.operations[$0].entry.id },
            unplaced: unplaced.map { part.operations[$0].entry.id }, lines: lines)
    }

    private var name: String { "key \(shown(part.key)) of group \(part.group)" }

    private func described(_ register: KeyRegister) -> String {
        if register.value == KeyRegister.absent { return "absent" }
        let value =
            register.value == KeyRegister.unmentioned
            ? "a value that nobody saw" : shown(part.value(register.value))
        return register.modRevision == KeyRegister.untold
            ? "\(value) of an untold revision" : "\(value) of revision \(register.modRevision)"
    }

    private func unique(_ texts: [String]) -> [String] {
        var seen: Set<String> = []
        return texts.filter { seen.insert($0).inserted }
    }
}

extension History.Entry {
    /// Whose it is, and when it ran.
    var spanned: String {
        "\(id) \(client) [\(invokedAt), \(completed == nil ? "…" : "\(completedAt ?? 0)")]"
    }
}

extension KeyHistory.Entry {
    var described: String {
        let told =
            switch outcome {
            case .unknown: "unknown"
            case .refused: "refused"
            case .answered(let answer): answer.described
            }
        return "\(spanned) \(request.action.described) → \(told)"
    }
}

extension KeyRequest.Action {
    var described: String {
        switch self {
        case .read: "read"
        case .put(let value): "put \(shown(value))"
        case .compareAndPut(.value(nil), let value): "put \(shown(value)) if absent"
        case .compareAndPut(.value(let expected?), let value):
            "put \(shown(value)) if it is \(shown(expected))"
        case .compareAndPut(.modRevision(let expected), let value):
            "put \(shown(value)) if of revision \(expected)"
        case .delete: "delete"
        }
    }
}

extension KeyAnswer {
    var described: String {
        switch self {
        case .absent: "absent"
        case .present(let value, let revision): shown(value) + Self.at(revision)
        case .written(let revision): "done" + Self.at(revision)
        case .conditionFailed: "condition failed"
        case .deleted(let existed, let revision):
            (existed == false ? "nothing to delete" : "deleted") + Self.at(revision)
        }
    }

    private static func at(_ revision: Revision?) -> String {
        revision.map { " @\($0)" } ?? ""
    }
}
