extension SearchClause {
    /// FHIR R4 "Search", "Prefixes": comparisons of the interval that the search names with that
    /// of the element.
    enum DatePrefix: String {
        case eq, ne, gt, lt, ge, le, sa, eb
    }

    static func dates(
        _ parameter: SearchParameter, _ values: [String]
    ) throws(SearchParameterError) -> SearchClause {
        var clause = SearchClause(alternatives: [], selectivity: .interval)
        for value in values {
            let text = SearchValue.unescape(value)
            // Approximate (ap) leaves the range to the server; no choice of one would be right.
            if text.hasPrefix("ap") {
                throw .unsupportedPrefix(parameter: parameter.code, prefix: "ap")
            }
            let known = DatePrefix(rawValue: String(text.prefix(2)))
            let prefix = known ?? .eq
            let date = text.dropFirst(known == nil ? 0 : 2)
            guard let interval = DateInterval(date, form: .search) else {
                throw .invalidValue(parameter: parameter.code, reason: "not a date")
            }
            if prefix != .eq { clause.selectivity = .openInterval }
            clause.alternatives += matches(parameter, prefix, interval)
        }
        return clause
    }

    private static func matches(
        _ parameter: SearchParameter, _ prefix: DatePrefix, _ search: DateInterval
    ) -> [SearchTermMatch] {
        let terms = DateTerms(parameter: parameter, search: search)
        return switch prefix {
        case .eq: terms.within
        case .ne: terms.notWithin
        case .gt: [terms.endingAfter]
        case .lt: [terms.startingBefore]
        case .ge: [terms.endingAfter] + terms.within
        case .le: [terms.startingBefore] + terms.within
        case .sa: [terms.startingAfter]
        case .eb: [terms.endingBefore]
        }
    }
}

/// Ranges of date terms. A term's value is (start, end), ordered by start; intervals are nested
/// or apart (`DateInterval`), so one that starts inside the search's and after its start ends
/// inside it too, and only those that start together with it need a look at their end.
private struct DateTerms {
    var parameter: SearchParameter
    var search: DateInterval

    private func starts(from: [UInt8]?, to: [UInt8]?) -> SearchTermMatch {
        SearchTermMatch(
            name: SearchTermLayout.dateName(parameter.type, parameter.code),
            values: .range(from: from, to: to))
    }

    private func ends(from: [UInt8]?, to: [UInt8]?) -> SearchTermMatch {
        SearchTermMatch(
            name: SearchTermLayout.dateEndName(parameter.type, parameter.code),
            values: .range(from: from, to: to))
    }

    private var lower: [UInt8] { SearchTermLayout.time(search.lower) }
    private var upper: [UInt8] { SearchTermLayout.time(search.upper) }
    private var afterLower: [UInt8] { SearchTermLayout.time(search.lower + 1) }
    private var afterUpper: [UInt8] { SearchTermLayout.time(search.upper + 1) }

    /// The search contains the element.
    var within: [SearchTermMatch] {
        [starts(from: lower, to: lower + afterUpper), starts(from: afterLower, to: upper)]
    }

    var notWithin: [SearchTermMatch] {
        [
            starts(from: nil, to: lower), starts(from: lower + afterUpper, to: afterLower),
            starts(from: upper, to: nil),
        ]
    }

    /// Some of the element is after the search.
    var endingAfter: SearchTermMatch { ends(from: afterUpper, to: nil) }
    /// Some of the element is before the search.
    var startingBefore: SearchTermMatch { starts(from: nil, to: lower) }
    /// All of the element is after the search.
    var startingAfter: SearchTermMatch { starts(from: upper, to: nil) }
    /// All of the element is before the search.
    var endingBefore: SearchTermMatch { ends(from: nil, to: afterLower) }
}
