/// One search parameter with its values, as a search asks for it: any of the alternatives.
package struct SearchClause: Hashable, Sendable {
    /// How many records a clause is expected to match, few first: the first clause of a query
    /// drives it through the index.
    package enum Selectivity: Int, Comparable, Sendable {
        case resource, token, text, textPrefix, interval, openInterval, system, code, everything
        package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    package var alternatives: [SearchTermMatch]
    package var selectivity: Selectivity

    /// Every resource of a type, in order of ids.
    package static func all(of type: String) -> SearchClause {
        SearchClause(
            alternatives: [
                SearchTermMatch(
                    name: SearchTermLayout.idName(type), values: .range(from: nil, to: nil))
            ], selectivity: .everything)
    }
}

/// Why a search parameter cannot be used.
package enum SearchParameterError: Error, Equatable, Sendable {
    case unknown(parameter: String)
    case unsupportedModifier(parameter: String, modifier: String)
    case unsupportedPrefix(parameter: String, prefix: String)
    case invalidValue(parameter: String, reason: String)
    case tooManyValues(parameter: String, limit: Int)

    package var explanation: String {
        switch self {
        case .unknown(let parameter):
            "Search parameter '\(parameter)' is not known or not supported for this type"
        case .unsupportedModifier(let parameter, let modifier):
            "Modifier ':\(modifier)' of search parameter '\(parameter)' is not supported"
        case .unsupportedPrefix(let parameter, let prefix):
            "Prefix '\(prefix)' of search parameter '\(parameter)' is not supported"
        case .invalidValue(let parameter, let reason):
            "Search parameter '\(parameter)': \(reason)"
        case .tooManyValues(let parameter, let limit):
            "Search parameter '\(parameter)' has more than \(limit) values"
        }
    }
}

extension SearchClause {
    /// Values of one parameter, separated by commas.
    package static let valuesMax = 100

    /// - Parameters:
    ///   - name: as in the query: `family`, `family:exact`.
    ///   - value: unescaped from the URL, with FHIR's own escapes (`\,` `\|` `\$` `\\`).
    package static func parse(
        type: String, name: String, value: String
    ) throws(SearchParameterError) -> SearchClause {
        let (code, modifier) = split(name)
        let values = SearchValue.split(value, at: ",")
        if values.count > valuesMax { throw .tooManyValues(parameter: code, limit: valuesMax) }
        if values.contains(where: \.isEmpty) {
            throw .invalidValue(parameter: code, reason: "a value is empty")
        }
        if code == "_id" {
            try refuse(modifier, of: code)
            return SearchClause(
                alternatives: values.map {
                    SearchTermMatch(
                        name: SearchTermLayout.idName(type),
                        values: .exact(Array(SearchValue.unescape($0).utf8)))
                }, selectivity: .resource)
        }
        guard let parameter = SearchParameter.named(code, of: type) else {
            throw .unknown(parameter: code)
        }
        switch parameter.kind {
        case .identifier, .code:
            try refuse(modifier, of: code)
            return try tokens(parameter, values)
        case .string:
            if modifier == "exact" { return exactStrings(parameter, values) }
            try refuse(modifier, of: code)
            return try strings(parameter, values)
        case .date:
            try refuse(modifier, of: code)
            return try dates(parameter, values)
        }
    }

    private static func split(_ name: String) -> (code: String, modifier: String?) {
        guard let colon = name.firstIndex(of: ":") else { return (name, nil) }
        return (String(name[..<colon]), String(name[name.index(after: colon)...]))
    }

    private static func refuse(
        _ modifier: String?, of code: String
    ) throws(SearchParameterError) {
        if let modifier { throw .unsupportedModifier(parameter: code, modifier: modifier) }
    }

    private static func strings(
        _ parameter: SearchParameter, _ values: [String]
    ) throws(SearchParameterError) -> SearchClause {
        var alternatives: [SearchTermMatch] = []
        for value in values {
            let folded = SearchTermLayout.folded(SearchValue.unescape(value))
            if folded.isEmpty {
                throw .invalidValue(parameter: parameter.code, reason: "a value has no letters")
            }
            alternatives.append(
                SearchTermMatch(
                    name: SearchTermLayout.stringName(parameter.type, parameter.code),
                    values: .prefix(folded)))
        }
        return SearchClause(alternatives: alternatives, selectivity: .textPrefix)
    }

    private static func exactStrings(
        _ parameter: SearchParameter, _ values: [String]
    ) -> SearchClause {
        SearchClause(
            alternatives: values.map {
                SearchTermMatch(
                    name: SearchTermLayout.exactName(parameter.type, parameter.code),
                    values: .exact(SearchTermLayout.exact(SearchValue.unescape($0))))
            }, selectivity: .text)
    }
}
