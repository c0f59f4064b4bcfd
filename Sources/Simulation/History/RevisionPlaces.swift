import RecordModel

/// Where operations stand by their answered revisions, and whether that keeps real time.
enum RevisionPlaces {
    /// First the write that made the revision, behind it what was answered from it.
    struct Place: Comparable {
        let revision: Revision
        let isBehindWrite: Bool

        init(_ reply: StoreReply) {
            revision = reply.revision
            isBehindWrite = !reply.answer.tellsOfChange
        }

        static func < (a: Self, b: Self) -> Bool {
            if a.revision != b.revision { return a.revision < b.revision }
            return !a.isBehindWrite && b.isBehindWrite
        }
    }

    typealias Precedent = (place: Place, entry: StoreHistory.Entry)

    /// For each operation the last place of those that were completed when it was invoked, with who
    /// stands there; nil before the first.
    static func precedents(in history: StoreHistory) -> [Precedent?] {
        var moments: [(position: Int, id: Int, isCompletion: Bool)] = []
        for (id, entry) in history.entries.enumerated() {
            moments.append((entry.invoked, id, false))
            if let completed = entry.completed { moments.append((completed, id, true)) }
        }
        moments.sort { $0.position < $1.position }
        var latest: Precedent?
        var precedents: [Precedent?] = Array(repeating: nil, count: history.entries.count)
        for moment in moments {
            guard moment.isCompletion else {
                precedents[moment.id] = latest
                continue
            }
            let entry = history.entries[moment.id]
            guard case .answered(let reply) = entry.outcome else { continue }
            let place = Place(reply)
            if let latest, latest.place >= place { continue }
            latest = (place, entry)
        }
        return precedents
    }

    /// What the places alone show to be wrong.
    static func findDisorder(
        in history: StoreHistory, above initial: Revision
    ) -> HistoryViolation? {
        var writers: [Revision: StoreHistory.Entry] = [:]
        let precedents = precedents(in: history)
        for (id, entry) in history.entries.enumerated() {
            guard case .answered(let reply) = entry.outcome else { continue }
            let isWrite = reply.answer.tellsOfChange
            if reply.revision < initial || (isWrite && reply.revision == initial) {
                return violation(
                    "\(entry.id) was answered at revision \(reply.revision), but the history "
                        + "begins behind \(initial)", [entry])
            }
            if isWrite {
                if let other = writers[reply.revision] {
                    return violation(
                        "\(other.id) and \(entry.id) were both told that they made revision "
                            + "\(reply.revision)", [other, entry])
                }
                writers[reply.revision] = entry
            }
            if !entry.request.isSerializable, let (place, earlier) = precedents[id],
                place > Place(reply)
            {
                return violation(
                    "\(entry.id) was invoked when \(earlier.id) was completed, but stands before "
                        + "it by its revision", [entry, earlier])
            }
        }
        return nil
    }

    private static func violation(
        _ summary: String, _ entries: [StoreHistory.Entry]
    ) -> HistoryViolation {
        HistoryViolation(
            summary: summary, prefix: [], unplaced: entries.map(\.id),
            lines: [summary] + entries.map { "  " + $0.described })
    }
}
