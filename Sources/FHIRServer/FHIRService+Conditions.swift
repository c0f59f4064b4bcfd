import FHIRCore
import RecordModel

extension FHIRService {
    /// The criteria of an `If-None-Exist` header or of `request.ifNoneExist`.
    static func criteria(_ text: String) throws(FHIRFailure) -> [QueryItem] {
        var query = text[...]
        if let mark = query.firstIndex(of: "?") { query = query[query.index(after: mark)...] }
        return try RequestTarget.items(query)
    }

    /// Up to two records that match the criteria of a conditional interaction. Everything in them
    /// must be understood: a condition ignored would be another condition.
    ///
    /// Two conditional creates of the same criteria at the same moment can both find nothing and
    /// both create: a record that is not there cannot be compared by what its terms would be.
    func matches(
        _ type: String, criteria: [QueryItem]
    ) async throws(FHIRFailure) -> [Record] {
        if criteria.isEmpty {
            throw FHIRFailure(400, .required, "A conditional interaction needs search criteria")
        }
        let clauses = try clauses(type, criteria, ignoresUnknown: false).clauses
        var matches: [Record] = []
        var after: QueryPosition?
        repeat {
            let page = try await query(RecordQuery(clauses, limit: 2, after: after))
            matches += page.records
            after = page.next
        } while matches.count < 2 && after != nil
        return Array(matches.prefix(2))
    }

    static func multipleMatches(_ type: String) -> FHIRFailure {
        FHIRFailure(412, .multipleMatches, "More than one \(type) matches the criteria")
    }
}

extension RecordQuery {
    /// The most selective clause first: it drives the search.
    init(_ clauses: [SearchClause], limit: Int, after: QueryPosition? = nil) {
        let ordered = clauses.enumerated().sorted {
            ($0.element.selectivity, $0.offset) < ($1.element.selectivity, $1.offset)
        }
        self.init(
            clauses: ordered.map { clause in
                Clause(anyOf: clause.element.alternatives.map(TermMatch.init))
            }, limit: limit, after: after)
    }
}

extension TermMatch {
    init(_ match: SearchTermMatch) {
        let values: Values =
            switch match.values {
            case .exact(let value): .exact(value)
            case .prefix(let prefix): .prefix(prefix)
            case .range(let from, let to): .range(from: from, to: to)
            }
        self.init(name: match.name, values: values)
    }
}
