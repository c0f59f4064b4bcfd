import FHIRCore
import Primitives
import RecordModel

extension FHIRService {
    /// FHIR R4 "RESTful API", history of an instance: newest first, over all its lives.
    func history(
        _ type: String, _ id: String, _ request: FHIRRequest
    ) async throws(FHIRFailure) -> FHIRAnswer {
        let paging = try Paging(request.query, limits)
        if request.prefer.isStrict,
            let other = request.query.first(where: { !Paging.names.contains($0.name) })
        {
            throw FHIRFailure(SearchParameterError.unknown(parameter: other.name))
        }
        let key = KeptResource.key(type, id)
        let fingerprint = CRC32C.checksum(key)
        var before: Revision?
        if let token = paging.token {
            guard case .history(let end) = try PageToken(token, fingerprint: fingerprint).position
            else { throw FHIRFailure(400, .value, "_page is not from a next link of this request") }
            before = end
        }

        // One version more than the page holds tells whether there is a next one.
        var versions: [RecordVersion] = []
        var bytes = 0
        var hasMore = true
        while hasMore && versions.count <= paging.count && bytes < limits.pageBytesMax {
            let limit = min(50, paging.count + 1 - versions.count)
            let piece = try await history(key, limit: limit, before: before)
            versions += piece
            bytes += piece.reduce(0) { $0 + $1.valueBytes }
            before = piece.last?.modRevision
            hasMore = piece.count == limit
        }
        if versions.isEmpty && paging.token == nil {
            throw FHIRFailure(404, .notFound, "\(type)/\(id) is not known")
        }
        if versions.count > paging.count {
            versions.removeLast(versions.count - paging.count)
            hasMore = true
        }
        let next = hasMore ? versions.last : nil
        let token = next.map {
            PageToken(fingerprint: fingerprint, position: .history(before: $0.modRevision)).text
        }

        var entries: [JSONValue] = []
        for version in versions { entries.append(try entry(version, type, id, request.base)) }
        var bundle = JSONObject(["resourceType": "Bundle", "type": "history"])
        let isWhole = paging.token == nil && token == nil
        if isWhole { bundle["total"] = .number(String(versions.count)) }
        bundle["link"] = paging.links(
            "\(request.base)/\(type)/\(id)/_history", [], next: token)
        if !entries.isEmpty { bundle["entry"] = .array(entries) }
        var answer = FHIRAnswer(status: 200, body: .object(bundle))
        answer.bytesRead = bytes
        return answer
    }

    /// Which of POST and PUT wrote a version is not kept: PUT is what would write it again under
    /// the same id.
    private func entry(
        _ version: RecordVersion, _ type: String, _ id: String, _ base: String
    ) throws(FHIRFailure) -> JSONValue {
        var entry = JSONObject(["fullUrl": .string("\(base)/\(type)/\(id)")])
        let status: Int
        switch version.kind {
        case .put(let record):
            entry["resource"] = try KeptResource.rendered(record)
            entry["request"] = ["method": "PUT", "url": .string("\(type)/\(id)")]
            status = record.version == 1 ? 201 : 200
        case .deletion:
            entry["request"] = ["method": "DELETE", "url": .string("\(type)/\(id)")]
            status = 204
        }
        entry["response"] = [
            "status": .string(StatusLine.text(status)),
            "etag": .string(EntityTag.text(version.modRevision)),
            "lastModified": .string(
                Moment.instant(microseconds: version.timestamp.microseconds)),
        ]
        return .object(entry)
    }
}

extension RecordVersion {
    fileprivate var valueBytes: Int {
        if case .put(let record) = kind { return record.value.count }
        return 0
    }
}
