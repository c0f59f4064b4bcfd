import FHIRCore
import RecordModel

extension FHIRService {
    /// FHIR R4 "RESTful API", create and conditional create. The id is the server's; one in the
    /// resource is ignored.
    func create(_ type: String, _ request: FHIRRequest) async throws(FHIRFailure) -> FHIRAnswer {
        let sent = try request.resource()
        if let criteria = request.ifNoneExist {
            let matches = try await matches(type, criteria: try Self.criteria(criteria))
            if matches.count > 1 { throw Self.multipleMatches(type) }
            if let existing = matches.first {
                // Nothing is written, so what the resource holds is not looked at further.
                _ = try KeptResource.checked(sent, type: type)
                return try found(existing, status: 200, request)
            }
        }
        return try await create(sent, type, request)
    }

    func create(
        _ sent: JSONValue, _ type: String, _ request: FHIRRequest
    ) async throws(FHIRFailure) -> FHIRAnswer {
        for _ in 0...limits.conflictRetriesMax {
            let resource = try KeptResource(sent, type: type, id: newID())
            let applied = try await execute(
                TxnRequest(
                    compares: Precondition.absent.compares(resource.key),
                    success: [.put(resource.put)]))
            // A failed compare: the new id was taken, by a client that chose it. Another is drawn.
            if applied.result.succeeded { return written(201, resource, applied, request) }
        }
        throw conflict()
    }

    /// An answer about a resource that is there already.
    func found(
        _ record: Record, status: Int, _ request: FHIRRequest
    ) throws(FHIRFailure) -> FHIRAnswer {
        var answer = FHIRAnswer(status: status)
        answer.version = record.modRevision
        answer.lastModified = record.timestamp
        let key = String(decoding: record.key, as: UTF8.self)
        answer.location = "\(key)/_history/\(record.modRevision)"
        answer.bytesRead = record.value.count
        if request.prefer.returning != .minimal {
            answer.body = try KeptResource.rendered(record)
        }
        return answer
    }
}
