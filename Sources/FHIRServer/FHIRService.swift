import FHIRCore
import Primitives
import RecordModel

/// The FHIR interactions over a record store, without HTTP. Each is a file of its own.
struct FHIRService: Sendable {
    let records: any RecordService
    let settings: FHIRServerSettings
    let newID: @Sendable () -> String

    var limits: FHIRLimits { settings.limits }

    func perform(_ request: FHIRRequest) async throws(FHIRFailure) -> FHIRAnswer {
        switch (request.route, request.method) {
        case (.metadata, .get): return capabilities(request)
        case (.base, .post): return try await bundle(request)
        case (.type(let type), .get): return try await search(type, request)
        case (.typeSearch(let type), .post): return try await search(type, request)
        case (.type(let type), .post): return try await create(type, request)
        case (.type(let type), .put): return try await conditionalUpdate(type, request)
        case (.type(let type), .delete): return try await conditionalDelete(type, request)
        case (.instance(let type, let id), .get): return try await read(type, id, request)
        case (.instance(let type, let id), .put): return try await update(type, id, request)
        case (.instance(let type, let id), .delete): return try await delete(type, id, request)
        case (.instanceHistory(let type, let id), .get):
            return try await history(type, id, request)
        case (.version(let type, let id, let version), .get):
            return try await versionRead(type, id, version, request)
        default: throw request.route.methodFailure(request.method.rawValue)
        }
    }

    // The store's errors as failures of the request.

    func execute(_ txn: TxnRequest) async throws(FHIRFailure) -> AppliedTxn {
        do { return try await records.execute(txn) } catch { throw FHIRFailure(error) }
    }

    func record(_ key: Bytes) async throws(FHIRFailure) -> Record? {
        do { return try await records.record(key, at: nil) } catch { throw FHIRFailure(error) }
    }

    func history(
        _ key: Bytes, limit: Int, before: Revision?
    ) async throws(FHIRFailure) -> [RecordVersion] {
        do {
            return try await records.history(of: key, limit: limit, before: before)
        } catch {
            throw FHIRFailure(error)
        }
    }

    func query(_ query: RecordQuery) async throws(FHIRFailure) -> QueryResult {
        do { return try await records.query(query) } catch { throw FHIRFailure(error) }
    }

    /// The answer to a write, with the body that the client prefers.
    func written(
        _ status: Int, _ resource: KeptResource, _ applied: AppliedTxn, _ request: FHIRRequest
    ) -> FHIRAnswer {
        var answer = FHIRAnswer(status: status)
        answer.version = applied.revision
        answer.lastModified = applied.timestamp
        answer.location = "\(resource.type)/\(resource.id)/_history/\(applied.revision)"
        switch request.prefer.returning {
        case .minimal: break
        case .operationOutcome:
            answer.body = [
                "resourceType": "OperationOutcome",
                "issue": [
                    [
                        "severity": "information", "code": "informational",
                        "diagnostics": .string("Stored as version \(applied.revision)"),
                    ]
                ],
            ]
        case .representation, nil:
            answer.body = KeptResource.rendered(
                resource.tree, version: applied.revision, timestamp: applied.timestamp)
        }
        return answer
    }

    func conflict() -> FHIRFailure {
        FHIRFailure(
            409, .conflict,
            "Not done: what this write depends on was changed by others "
                + "\(limits.conflictRetriesMax) times in a row. Try again")
    }
}
