import FHIRCore
import Primitives
import RecordModel

/// A resource as it is kept: one record with key `Type/id`, whose value is the resource's JSON with
/// its id and without `meta.versionId` and `meta.lastUpdated`, which are those of the record.
struct KeptResource: Sendable {
    var type: String
    var id: String
    var tree: JSONObject
    var terms: [IndexTerm]

    static func key(_ type: String, _ id: String) -> Bytes { Array("\(type)/\(id)".utf8) }

    var key: Bytes { Self.key(type, id) }

    var put: PutRequest {
        PutRequest(
            key: key, value: JSONValue.object(tree).serialized(), wantsPrevious: true,
            terms: terms)
    }

    /// Takes a resource that a client sent.
    ///
    /// - Parameter id: the one it gets, whatever its own was.
    init(_ resource: JSONValue, type: String, id: String) throws(FHIRFailure) {
        self.type = type
        self.id = id
        tree = try Self.checked(resource, type: type)
        tree.set("id", to: .string(id), after: "resourceType")
        if let meta = tree["meta"] {
            guard case .object(var members) = meta else {
                throw FHIRFailure(400, .structure, "meta is not an object", expression: "meta")
            }
            let before = members.members.count
            members["versionId"] = nil
            members["lastUpdated"] = nil
            let isEmptied = members.members.isEmpty && before > 0
            tree["meta"] = isEmptied ? nil : .object(members)
        }
        do {
            terms = try SearchTerms.terms(of: .object(tree), type: type, id: id).map {
                IndexTerm(name: $0.name, value: $0.value)
            }
        } catch {
            throw Self.failure(error)
        }
        terms.sort()
        terms = terms.reduce(into: []) { unique, term in
            if unique.last != term { unique.append(term) }
        }
    }

    /// The resource as an object of the type; `id`, when it is there, a string.
    static func checked(_ resource: JSONValue, type: String) throws(FHIRFailure) -> JSONObject {
        guard case .object(let tree) = resource else {
            throw FHIRFailure(400, .structure, "A resource is a JSON object")
        }
        guard let named = tree["resourceType"]?.string else {
            throw FHIRFailure(
                400, .required, "The resource has no resourceType", expression: "resourceType")
        }
        if named != type {
            throw FHIRFailure(
                400, .value, "The resource's resourceType is not \(type)",
                expression: "resourceType")
        }
        if let id = tree["id"], id.string == nil {
            throw FHIRFailure(400, .value, "id is not a string", expression: "id")
        }
        return tree
    }

    private static func failure(_ error: SearchTermError) -> FHIRFailure {
        switch error {
        case .tokenTooLong(let code, let bytes):
            FHIRFailure(
                422, .tooLong,
                "System and value of search parameter '\(code)' have \(bytes) bytes, the limit is "
                    + "\(SearchTermLayout.tokenBytesMax)")
        case .nulInToken(let code):
            FHIRFailure(422, .value, "U+0000 in search parameter '\(code)'")
        }
    }

    /// The resource as clients get it.
    static func rendered(
        _ tree: JSONObject, version: Revision, timestamp: HybridTimestamp
    ) -> JSONValue {
        var tree = tree
        var meta = tree["meta"]?.object ?? JSONObject()
        meta.set("versionId", to: .string(String(version.rawValue)), after: nil)
        let instant = Moment.instant(microseconds: timestamp.microseconds)
        meta.set("lastUpdated", to: .string(instant), after: "versionId")
        tree.set("meta", to: .object(meta), after: "id")
        return .object(tree)
    }

    /// A record may have been written by other means than FHIR: then it is our answer that fails,
    /// not the client's request.
    static func rendered(_ record: Record) throws(FHIRFailure) -> JSONValue {
        guard case .object(let tree)? = try? JSONParser.parse(record.value) else {
            throw FHIRFailure(
                500, .exception,
                "Revision \(record.modRevision) of this record does not hold a FHIR resource")
        }
        return rendered(tree, version: record.modRevision, timestamp: record.timestamp)
    }
}
