import RecordModel

/// Where an attempt to explain a history stopped.
struct RevisionObstacle {
    /// The operation whose answer differs; nil where no operation could fill the gap.
    var entry: StoreHistory.Entry?
    var revision: Revision
    /// What the model answered.
    var expected: StoreAnswer?
    var placed: [OperationID] = []
}

extension RevisionSearch {
    /// Operations of the prefix that an explanation shows, and those of unknown outcome.
    private static let shownMax = 12

    func explain(_ gap: RevisionGaps.Gap) -> HistoryViolation {
        if let shortage = gaps.shortage {
            return violation(
                "\(shortage) revisions from \(gap.revision) on were made by nobody who was told, "
                    + "but only \(gaps.unknowns.count) operations are of unknown outcome")
        }
        return violation(
            "revision \(gap.revision) was made by nobody who was told, and by no operation of "
                + "unknown outcome that time and answers allow", seen: gap.evidence)
    }

    /// From the obstacle that was met furthest behind in the order.
    func explain() -> HistoryViolation {
        guard let obstacle else { preconditionFailure("a search failed at nothing") }
        guard let entry = obstacle.entry else {
            let evidence = gaps.numbers[obstacle.revision].map { gaps.gaps[$0].evidence } ?? []
            return violation(
                "no operation of unknown outcome explains revision \(obstacle.revision)",
                seen: evidence, prefix: obstacle.placed)
        }
        return violation(
            "\(entry.id)'s answer does not follow from the order of the revisions", entry,
            expected: obstacle.expected, prefix: obstacle.placed)
    }

    private func violation(
        _ summary: String, _ entry: StoreHistory.Entry? = nil, expected: StoreAnswer? = nil,
        seen evidence: [StoreRecord] = [], prefix: [OperationID] = []
    ) -> HistoryViolation {
        var lines = [summary]
        if let entry { lines.append("  " + entry.described) }
        if let expected { lines.append("  the model answers " + expected.described) }
        for record in evidence { lines.append("  seen of it: " + record.described) }
        if !prefix.isEmpty {
            lines.append("the longest order that is explained (\(prefix.count) operations):")
            if prefix.count > Self.shownMax { lines.append("  …") }
            for id in prefix.suffix(Self.shownMax) {
                lines.append("  " + history.entries[id.rawValue].described)
            }
        }
        let placed = Set(prefix)
        let unused = gaps.unknowns.filter { !placed.contains($0.entry.id) }
        if !unused.isEmpty {
            lines.append("of unknown outcome, without a place (\(unused.count)):")
            for unknown in unused.suffix(Self.shownMax) {
                lines.append(
                    "  " + unknown.entry.described + ", behind revision \(unknown.seen)")
            }
        }
        return HistoryViolation(
            summary: summary, prefix: prefix, unplaced: entry.map { [$0.id] } ?? [], lines: lines)
    }
}

extension StoreHistory.Entry {
    var described: String {
        let told =
            switch outcome {
            case .unknown: "unknown"
            case .refused: "refused"
            case .answered(let reply): "\(reply.answer.described) @\(reply.revision)"
            }
        let request = request.operation.described
        return
            "\(spanned) \(self.request.isSerializable ? "serializable " : "")\(request) → \(told)"
    }
}

extension StoreOperation {
    var described: String {
        switch self {
        case .range(let range, let past, let limit):
            "range \(range.described)" + (past.map { " at \($0)" } ?? "")
                + (limit > 0 ? " limit \(limit)" : "")
        case .put(let key, let value, _): "put \(shown(key)) \(shown(value))"
        case .delete(let range, _): "delete \(range.described)"
        case .txn(let compares, let then, let otherwise):
            "txn if (\(compares.map(\.described).joined(separator: ", "))) "
                + "then (\(then.map(\.described).joined(separator: ", "))) "
                + "else (\(otherwise.map(\.described).joined(separator: ", ")))"
        }
    }
}

extension StoreAnswer {
    var described: String {
        switch self {
        case .range(let records, let count):
            "{\(records.map(\.described).joined(separator: ", "))} of \(count)"
        case .put(let previous): "put" + (previous.map { " over \($0.described)" } ?? "")
        case .delete(let count, let previous):
            "deleted \(count)"
                + (previous.isEmpty
                    ? "" : " {\(previous.map(\.described).joined(separator: ", "))}")
        case .txn(let succeeded, let answers):
            "\(succeeded ? "then" : "else") (\(answers.map(\.described).joined(separator: ", ")))"
        }
    }
}

extension StoreRecord {
    var described: String {
        "\(shown(key))=\(shown(value)) mod \(modRevision) create \(createRevision) "
            + "version \(version)"
    }
}

extension KeyRange {
    fileprivate var described: String {
        switch end {
        case .single: shown(lower)
        case .before(let upper): "[\(shown(lower)), \(shown(upper)))"
        case .unbounded: "[\(lower.isEmpty ? "" : shown(lower)), …)"
        }
    }
}

extension Compare {
    fileprivate var described: String {
        let relation =
            switch relation {
            case .equal: "="
            case .greater: ">"
            case .less: "<"
            case .notEqual: "≠"
            }
        return switch target {
        case .version(let wanted): "version \(range.described) \(relation) \(wanted)"
        case .createRevision(let wanted): "create \(range.described) \(relation) \(wanted)"
        case .modRevision(let wanted): "mod \(range.described) \(relation) \(wanted)"
        case .value(let wanted): "value \(range.described) \(relation) \(shown(wanted))"
        case .lease(let wanted): "lease \(range.described) \(relation) \(wanted)"
        }
    }
}
