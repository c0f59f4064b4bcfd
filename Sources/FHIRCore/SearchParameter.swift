/// One search parameter of one resource type, from the official R4 definitions.
package struct SearchParameter: Hashable, Sendable {
    /// What the elements are, and so which terms they give.
    package enum Kind: Hashable, Sendable {
        /// `Identifier` elements; searched as tokens.
        case identifier
        /// `code` elements, whose system their binding implies; searched as tokens.
        case code(system: String)
        /// `string` elements.
        case string
        /// `date`, `dateTime` and `instant` elements.
        case date
    }

    package var type: String
    package var code: String
    package var kind: Kind
    /// Names from the resource down to the elements, for each way there.
    package var paths: [[String]]

    /// `SearchParameter.type` as FHIR calls it.
    package var searchType: String {
        switch kind {
        case .identifier, .code: "token"
        case .string: "string"
        case .date: "date"
        }
    }

    /// The elements in a resource. Arrays on the way count as all their members.
    package func elements(of resource: JSONValue) -> [JSONValue] {
        var found: [JSONValue] = []
        for path in paths { Self.collect(path[...], in: resource, &found) }
        return found
    }

    private static func collect(
        _ path: ArraySlice<String>, in value: JSONValue, _ found: inout [JSONValue]
    ) {
        if case .array(let values) = value {
            for value in values { collect(path, in: value, &found) }
        } else if let name = path.first {
            if let member = value[name] { collect(path.dropFirst(), in: member, &found) }
        } else {
            found.append(value)
        }
    }
}

extension SearchParameter {
    /// Parameters of a type in order of their codes, without `_id`, which every type has.
    package static func all(of type: String) -> [SearchParameter] { byType[type] ?? [] }

    package static func named(_ code: some StringProtocol, of type: String) -> SearchParameter? {
        byType[type]?.first { $0.code == code }
    }

    private static let byType: [String: [SearchParameter]] = {
        var table: [String: [SearchParameter]] = [:]
        for line in SearchParameterTable.text.split(separator: "\n") {
            let parameter = SearchParameter(tableLine: line)
            table[parameter.type, default: []].append(parameter)
        }
        return table
    }()

    private init(tableLine line: Substring) {
        let fields = line.split(separator: " ")
        precondition(fields.count == 4, "search parameter table line \(line)")
        type = String(fields[0])
        code = String(fields[1])
        switch fields[2] {
        case "identifier": kind = .identifier
        case "string": kind = .string
        case "date": kind = .date
        default:
            precondition(fields[2].hasPrefix("code="), "search parameter table line \(line)")
            kind = .code(system: String(fields[2].dropFirst("code=".count)))
        }
        paths = fields[3].split(separator: ",").map { $0.split(separator: ".").map(String.init) }
    }
}
