import FHIRCore
import RecordModel

extension FHIRService {
    /// FHIR R4 "RESTful API", read: 410 for what was deleted, 404 for what never was.
    func read(
        _ type: String, _ id: String, _ request: FHIRRequest
    ) async throws(FHIRFailure) -> FHIRAnswer {
        let key = KeptResource.key(type, id)
        if let record = try await record(key) { return try content(record, request) }
        guard let newest = try await history(key, limit: 1, before: nil).first else {
            throw FHIRFailure(404, .notFound, "\(type)/\(id) is not known")
        }
        return try content(newest, type, id, request)
    }

    /// FHIR R4 "RESTful API", vread.
    func versionRead(
        _ type: String, _ id: String, _ version: String, _ request: FHIRRequest
    ) async throws(FHIRFailure) -> FHIRAnswer {
        let unknown = FHIRFailure(404, .notFound, "\(type)/\(id) has no such version")
        guard let revision = EntityTag.version(version) else { throw unknown }
        let found: RecordVersion?
        do {
            found = try await records.version(
                of: KeptResource.key(type, id), modRevision: revision)
        } catch {
            if case .refused(.futureRevision) = error { throw unknown }
            throw FHIRFailure(error)
        }
        guard let found else { throw unknown }
        return try content(found, type, id, request)
    }

    private func content(
        _ version: RecordVersion, _ type: String, _ id: String, _ request: FHIRRequest
    ) throws(FHIRFailure) -> FHIRAnswer {
        switch version.kind {
        // Of a read: a record that was written after it had not been found.
        case .put(let record): return try content(record, request)
        case .deletion:
            throw FHIRFailure(
                410, .deleted, "\(type)/\(id) was deleted", version: version.modRevision)
        }
    }

    private func content(
        _ record: Record, _ request: FHIRRequest
    ) throws(FHIRFailure) -> FHIRAnswer {
        var answer = FHIRAnswer(status: 200)
        answer.version = record.modRevision
        answer.lastModified = record.timestamp
        answer.bytesRead = record.value.count
        if let tags = request.ifNoneMatch, Self.lists(record.modRevision, in: tags) {
            answer.status = 304
        } else {
            answer.body = try KeptResource.rendered(record)
        }
        return answer
    }

    /// If-None-Match: a list of ETags, or `*`.
    private static func lists(_ version: Revision, in tags: String) -> Bool {
        if tags == "*" { return true }
        return tags.split(separator: ",").contains {
            EntityTag.parse(String($0.drop { $0 == " " })) == version
        }
    }
}
