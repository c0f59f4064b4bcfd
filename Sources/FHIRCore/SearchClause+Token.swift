extension SearchClause {
    /// FHIR R4 "Search", token: `value` in any system, `system|value`, `|value` without a system,
    /// `system|` with any value. Case matters.
    static func tokens(
        _ parameter: SearchParameter, _ values: [String]
    ) throws(SearchParameterError) -> SearchClause {
        var clause = SearchClause(alternatives: [], selectivity: .token)
        if case .code = parameter.kind { clause.selectivity = .code }
        for text in values {
            let parts = SearchValue.split(text, at: "|").map(SearchValue.unescape)
            if parts.contains(where: { $0.utf8.contains(0) }) {
                throw .invalidValue(parameter: parameter.code, reason: "U+0000 in a token")
            }
            switch parts.count {
            case 1:
                clause.alternatives.append(
                    SearchTermMatch(
                        name: SearchTermLayout.tokenName(parameter.type, parameter.code),
                        values: .exact(Array(parts[0].utf8))))
            case 2 where parts[1].isEmpty:
                if parts[0].isEmpty {
                    throw .invalidValue(
                        parameter: parameter.code, reason: "'|' with neither system nor value")
                }
                clause.selectivity = max(clause.selectivity, .system)
                clause.alternatives.append(
                    systemMatch(
                        parameter, .prefix(SearchTermLayout.systemToken(parts[0], ""))))
            case 2:
                clause.alternatives.append(
                    systemMatch(
                        parameter, .exact(SearchTermLayout.systemToken(parts[0], parts[1]))))
            default:
                throw .invalidValue(
                    parameter: parameter.code, reason: "a token has at most one '|'")
            }
        }
        return clause
    }

    private static func systemMatch(
        _ parameter: SearchParameter, _ values: SearchTermMatch.Values
    ) -> SearchTermMatch {
        SearchTermMatch(
            name: SearchTermLayout.systemTokenName(parameter.type, parameter.code),
            values: values)
    }
}

/// The texts of search values with their escapes (FHIR R4 "Search", "Escaping Search Parameters").
enum SearchValue {
    /// Splits at a character that no backslash stands before. The parts keep their escapes.
    static func split(_ text: String, at separator: Unicode.Scalar) -> [String] {
        var parts: [String] = []
        var part = String.UnicodeScalarView()
        var escaped = false
        for scalar in text.unicodeScalars {
            if scalar == separator && !escaped {
                parts.append(String(part))
                part = String.UnicodeScalarView()
            } else {
                part.append(scalar)
            }
            escaped = scalar == "\\" && !escaped
        }
        return parts + [String(part)]
    }

    /// A backslash before `,` `|` `$` or `\` is taken away; any other stays.
    static func unescape(_ text: String) -> String {
        guard text.unicodeScalars.contains("\\") else { return text }
        var result = String.UnicodeScalarView()
        var pending = false
        for scalar in text.unicodeScalars {
            if pending {
                if !",|$\\".unicodeScalars.contains(scalar) { result.append("\\") }
                result.append(scalar)
                pending = false
            } else if scalar == "\\" {
                pending = true
            } else {
                result.append(scalar)
            }
        }
        if pending { result.append("\\") }
        return String(result)
    }
}
