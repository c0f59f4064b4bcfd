import Primitives

/// Every record of a group's entries that has been met, whether it still belongs to its log or not.
struct EntryCatalogue: Sendable {
    private var entries: [EntryPlace] = []
    private var isSorted = true

    mutating func note(_ entry: EntryPlace) {
        entries.append(entry)
        isSorted = false
    }

    /// Ascending by index and term; of records with the same index and term, the one met last.
    mutating func sorted() -> [EntryPlace] {
        if isSorted { return entries }
        let order = entries.enumerated().sorted { a, b in
            (a.element.index, a.element.term, a.offset) < (
                b.element.index, b.element.term, b.offset
            )
        }
        var kept: [EntryPlace] = []
        kept.reserveCapacity(order.count)
        for (_, entry) in order {
            if kept.last?.index == entry.index, kept.last?.term == entry.term {
                kept[kept.count - 1] = entry
            } else {
                kept.append(entry)
            }
        }
        entries = kept
        isSorted = true
        return kept
    }
}
