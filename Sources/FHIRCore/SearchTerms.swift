/// Why a resource cannot be made searchable, and so is not taken.
package enum SearchTermError: Error, Equatable, Sendable {
    case tokenTooLong(code: String, bytes: Int)
    /// U+0000 in a token, which FHIR's strings cannot hold and the terms use as a separator.
    case nulInToken(code: String)
}

/// The terms of a resource. Elements of a form that the R4 definitions don't give them have no
/// terms: until resources are validated, they are kept but not found.
package enum SearchTerms {
    package static func terms(
        of resource: JSONValue, type: String, id: String
    ) throws(SearchTermError) -> [SearchTerm] {
        var terms = [SearchTerm(name: SearchTermLayout.idName(type), value: Array(id.utf8))]
        for parameter in SearchParameter.all(of: type) {
            for element in parameter.elements(of: resource) {
                switch parameter.kind {
                case .identifier:
                    let system = element["system"]?.string ?? ""
                    let value = element["value"]?.string ?? ""
                    if system.isEmpty && value.isEmpty { continue }
                    try append(parameter, system: system, value: value, &terms)
                case .code(let system):
                    guard let value = element.string, !value.isEmpty else { continue }
                    try append(parameter, system: system, value: value, &terms)
                case .string:
                    guard let text = element.string else { continue }
                    append(parameter, text: text, &terms)
                case .date:
                    guard let interval = element.string.flatMap({ DateInterval($0) }) else {
                        continue
                    }
                    append(parameter, interval: interval, &terms)
                }
            }
        }
        return terms
    }

    private static func append(
        _ parameter: SearchParameter, system: String, value: String, _ terms: inout [SearchTerm]
    ) throws(SearchTermError) {
        let bytes = system.utf8.count + value.utf8.count
        if bytes > SearchTermLayout.tokenBytesMax {
            throw .tokenTooLong(code: parameter.code, bytes: bytes)
        }
        if system.utf8.contains(0) || value.utf8.contains(0) {
            throw .nulInToken(code: parameter.code)
        }
        if !value.isEmpty {
            terms.append(
                SearchTerm(
                    name: SearchTermLayout.tokenName(parameter.type, parameter.code),
                    value: Array(value.utf8)))
        }
        terms.append(
            SearchTerm(
                name: SearchTermLayout.systemTokenName(parameter.type, parameter.code),
                value: SearchTermLayout.systemToken(system, value)))
    }

    private static func append(
        _ parameter: SearchParameter, text: String, _ terms: inout [SearchTerm]
    ) {
        let folded = SearchTermLayout.folded(text)
        if !folded.isEmpty {
            terms.append(
                SearchTerm(
                    name: SearchTermLayout.stringName(parameter.type, parameter.code),
                    value: folded))
        }
        let exact = SearchTermLayout.exact(text)
        if !exact.isEmpty {
            terms.append(
                SearchTerm(
                    name: SearchTermLayout.exactName(parameter.type, parameter.code),
                    value: exact))
        }
    }

    private static func append(
        _ parameter: SearchParameter, interval: DateInterval, _ terms: inout [SearchTerm]
    ) {
        let lower = SearchTermLayout.time(interval.lower)
        let upper = SearchTermLayout.time(interval.upper)
        terms.append(
            SearchTerm(
                name: SearchTermLayout.dateName(parameter.type, parameter.code),
                value: lower + upper))
        terms.append(
            SearchTerm(
                name: SearchTermLayout.dateEndName(parameter.type, parameter.code), value: upper))
    }
}
