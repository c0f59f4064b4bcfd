import FHIRCore
import RecordModel

extension FHIRService {
    /// FHIR R4 "RESTful API", update: creates what is absent, under the client's id.
    func update(
        _ type: String, _ id: String, _ request: FHIRRequest
    ) async throws(FHIRFailure) -> FHIRAnswer {
        let resource = try Self.resource(try request.resource(), type: type, id: id)
        let precondition = try Precondition(request)
        let applied = try await execute(
            TxnRequest(
                compares: precondition.compares(resource.key), success: [.put(resource.put)]))
        guard applied.result.succeeded else { throw precondition.failure(type, id) }
        let isCreation = Self.isCreation(applied.result.results.first)
        return written(isCreation ? 201 : 200, resource, applied, request)
    }

    static func isCreation(_ result: OperationResult?) -> Bool {
        guard case .put(let previous)? = result else {
            preconditionFailure("a put was answered with another operation's result")
        }
        return previous == nil
    }

    /// A resource whose own id must be that of the URL.
    static func resource(
        _ sent: JSONValue, type: String, id: String
    ) throws(FHIRFailure) -> KeptResource {
        let tree = try KeptResource.checked(sent, type: type)
        guard let named = tree["id"]?.string else {
            throw FHIRFailure(400, .required, "The resource has no id", expression: "id")
        }
        if named != id {
            throw FHIRFailure(
                400, .value, "The resource's id is not the URL's", expression: "id")
        }
        return try KeptResource(sent, type: type, id: id)
    }

    /// FHIR R4 "RESTful API", conditional update.
    func conditionalUpdate(
        _ type: String, _ request: FHIRRequest
    ) async throws(FHIRFailure) -> FHIRAnswer {
        let sent = try request.resource()
        let named = try KeptResource.checked(sent, type: type)["id"]?.string
        if let named { _ = try FHIRRoute([type, named]) }
        let precondition = try Precondition(request)
        for _ in 0...limits.conflictRetriesMax {
            let matches = try await matches(type, criteria: request.query)
            if matches.count > 1 { throw Self.multipleMatches(type) }
            guard let match = matches.first else {
                if precondition != .none, precondition != .absent {
                    throw FHIRFailure(412, .conflict, "No \(type) matches")
                }
                // Without a match the client's id is used when it gave one.
                guard let named else { return try await create(sent, type, request) }
                let resource = try KeptResource(sent, type: type, id: named)
                let applied = try await execute(
                    TxnRequest(
                        compares: Precondition.absent.compares(resource.key),
                        success: [.put(resource.put)]))
                if applied.result.succeeded { return written(201, resource, applied, request) }
                throw FHIRFailure(
                    409, .conflict, "\(type)/\(named) exists, and does not match the criteria")
            }
            let id = try Self.identity(match, type: type, agreesWith: named)
            guard precondition.isMet(by: match) else { throw precondition.failure(type, id) }
            let resource = try KeptResource(sent, type: type, id: id)
            let applied = try await execute(
                TxnRequest(
                    compares: Precondition.version(match.modRevision).compares(resource.key),
                    success: [.put(resource.put)]))
            if applied.result.succeeded { return written(200, resource, applied, request) }
        }
        throw conflict()
    }

    /// The id of a matched record, which the client's own must be when it gave one.
    static func identity(
        _ match: Record, type: String, agreesWith named: String?
    ) throws(FHIRFailure) -> String {
        let id = String(decoding: match.key.dropFirst(type.utf8.count + 1), as: UTF8.self)
        if let named, named != id {
            throw FHIRFailure(
                400, .value, "The resource's id is not that of the match", expression: "id")
        }
        return id
    }
}
