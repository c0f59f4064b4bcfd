import FHIRCore

/// What a path below the base names.
enum FHIRRoute: Hashable, Sendable {
    case base
    case metadata
    case type(String)
    case typeSearch(String)
    case instance(String, id: String)
    case instanceHistory(String, id: String)
    case version(String, id: String, version: String)

    /// - Parameter path: the segments below the base, decoded.
    init(_ path: [String]) throws(FHIRFailure) {
        var path = path
        if path.last == "" { path.removeLast() }
        guard let first = path.first else {
            self = .base
            return
        }
        if first == "metadata" && path.count == 1 {
            self = .metadata
            return
        }
        if first.hasPrefix("_") || first.hasPrefix("$") { throw Self.unsupported(first) }
        guard ResourceType.exists(first) else {
            throw FHIRFailure(404, .notSupported, "Not a resource type of FHIR R4: '\(first)'")
        }
        switch path.count {
        case 1: self = .type(first)
        case 2 where path[1] == "_search": self = .typeSearch(first)
        case 2:
            if path[1].hasPrefix("_") || path[1].hasPrefix("$") { throw Self.unsupported(path[1]) }
            self = .instance(first, id: try Self.id(path[1]))
        case 3 where path[2] == "_history":
            self = .instanceHistory(first, id: try Self.id(path[1]))
        case 4 where path[2] == "_history":
            self = .version(first, id: try Self.id(path[1]), version: path[3])
        default:
            if path[2].hasPrefix("_") || path[2].hasPrefix("$") { throw Self.unsupported(path[2]) }
            throw FHIRFailure(404, .notFound, "No FHIR interaction has this path")
        }
    }

    private static func id(_ text: String) throws(FHIRFailure) -> String {
        if ResourceID.isValid(text) { return text }
        throw FHIRFailure(
            400, .value,
            "Not a FHIR id: 1 to \(ResourceID.charactersMax) of A-Z a-z 0-9 - . are allowed, "
                + "this has \(text.unicodeScalars.count) characters")
    }

    private static func unsupported(_ name: String) -> FHIRFailure {
        FHIRFailure(404, .notSupported, "Not supported: '\(name)'. GET metadata tells what is")
    }

    var allowedMethods: [FHIRRequest.Method] {
        switch self {
        case .base: [.post]
        case .metadata, .instanceHistory, .version: [.get]
        case .type: [.get, .post, .put, .delete]
        case .typeSearch: [.post]
        case .instance: [.get, .put, .delete]
        }
    }

    /// The failure that names what is allowed instead.
    func methodFailure(_ method: String) -> FHIRFailure {
        var allow = allowedMethods.map(\.rawValue)
        if allow.contains("GET") { allow.append("HEAD") }
        return FHIRFailure(
            405, .notSupported, "\(method) is not supported here", allow: allow)
    }

    /// The resource type, for logs: no id and no query.
    var typeName: String {
        switch self {
        case .base, .metadata: "-"
        case .type(let type), .typeSearch(let type), .instance(let type, _),
            .instanceHistory(let type, _), .version(let type, _, _):
            type
        }
    }
}
