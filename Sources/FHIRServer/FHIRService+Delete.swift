import FHIRCore
import RecordModel

extension FHIRService {
    /// FHIR R4 "RESTful API", delete: the history stays. Deleting what is not there is no error.
    func delete(
        _ type: String, _ id: String, _ request: FHIRRequest
    ) async throws(FHIRFailure) -> FHIRAnswer {
        let precondition = try Precondition(request)
        let key = KeptResource.key(type, id)
        let applied = try await execute(
            TxnRequest(
                compares: precondition.compares(key),
                success: [.deleteRange(DeleteRangeRequest(range: .key(key)))]))
        guard applied.result.succeeded else { throw precondition.failure(type, id) }
        return Self.deleted(applied.result.results.first, applied)
    }

    /// 204, with the version that the deletion made when there was something to delete.
    static func deleted(_ result: OperationResult?, _ applied: AppliedTxn) -> FHIRAnswer {
        guard case .deleteRange(let count, _)? = result else {
            preconditionFailure("a deletion was answered with another operation's result")
        }
        var answer = FHIRAnswer(status: 204)
        if count > 0 {
            answer.version = applied.revision
            answer.lastModified = applied.timestamp
        }
        return answer
    }

    /// FHIR R4 "RESTful API", conditional delete of at most one resource.
    func conditionalDelete(
        _ type: String, _ request: FHIRRequest
    ) async throws(FHIRFailure) -> FHIRAnswer {
        let precondition = try Precondition(request)
        for _ in 0...limits.conflictRetriesMax {
            let matches = try await matches(type, criteria: request.query)
            if matches.count > 1 { throw Self.multipleMatches(type) }
            guard let match = matches.first else { return FHIRAnswer(status: 204) }
            let id = try Self.identity(match, type: type, agreesWith: nil)
            guard precondition.isMet(by: match) else { throw precondition.failure(type, id) }
            let applied = try await execute(
                TxnRequest(
                    compares: Precondition.version(match.modRevision).compares(match.key),
                    success: [.deleteRange(DeleteRangeRequest(range: .key(match.key)))]))
            if applied.result.succeeded {
                return Self.deleted(applied.result.results.first, applied)
            }
        }
        throw conflict()
    }
}
