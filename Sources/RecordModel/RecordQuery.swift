import Primitives

/// What the value of a term must be.
package struct TermMatch: Hashable, Sendable {
    package enum Values: Hashable, Sendable {
        case exact(Bytes)
        case prefix(Bytes)
        /// Half-open; nil is unbounded on that side.
        case range(from: Bytes?, to: Bytes?)
    }
    package var name: Bytes
    package var values: Values
    package init(name: Bytes, values: Values) {
        self.name = name
        self.values = values
    }

    package func matches(_ term: IndexTerm) -> Bool {
        guard term.name == name else { return false }
        switch values {
        case .exact(let value): return term.value == value
        case .prefix(let prefix): return term.value.starts(with: prefix)
        case .range(let from, let to):
            if let from, term.value.lexicographicallyPrecedes(from) { return false }
            if let to, !term.value.lexicographicallyPrecedes(to) { return false }
            return true
        }
    }
}

/// Records whose terms satisfy every clause. The first clause drives the search through the index:
/// what it matches bounds the keys read. The others are checked on the records' own terms.
package struct RecordQuery: Hashable, Sendable {
    /// A clause holds when any of its alternatives matches any term of the record.
    package struct Clause: Hashable, Sendable {
        package var alternatives: [TermMatch]
        package init(anyOf alternatives: [TermMatch]) { self.alternatives = alternatives }
    }

    /// At least one clause, each with at least one alternative.
    package var clauses: [Clause]
    /// Records in a page, at least 1.
    package var limit: Int
    /// Where the page before ended, from its `QueryResult`.
    package var after: QueryPosition?

    package init(clauses: [Clause], limit: Int, after: QueryPosition? = nil) {
        self.clauses = clauses
        self.limit = limit
        self.after = after
    }
}

/// A place in the order of a query's results: which alternative of the driving clause, then the
/// term's value, then the record's key.
package struct QueryPosition: Hashable, Sendable {
    package var alternative: UInt32
    package var value: Bytes
    package var key: Bytes
    package init(alternative: UInt32, value: Bytes, key: Bytes) {
        self.alternative = alternative
        self.value = value
        self.key = key
    }
}

package struct QueryResult: Hashable, Sendable {
    /// Each record once, in the driving clause's order.
    package var records: [Record]
    /// nil at the end of the results.
    package var next: QueryPosition?
    /// Index and record keys that were looked at: the work done, for tests and metrics.
    package var keysRead: Int
    package init(records: [Record] = [], next: QueryPosition? = nil, keysRead: Int = 0) {
        self.records = records
        self.next = next
        self.keysRead = keysRead
    }
}
