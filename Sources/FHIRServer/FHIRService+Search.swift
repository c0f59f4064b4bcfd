import FHIRCore
import RecordModel

extension FHIRService {
    /// Records asked of the store in one query: a page is put together from such pieces, so that
    /// its bytes can be counted between them.
    private static let piece = 50

    /// FHIR R4 "Search" on one type, by GET or by POST `_search`.
    func search(_ type: String, _ request: FHIRRequest) async throws(FHIRFailure) -> FHIRAnswer {
        var items = request.query
        if case .form(let form) = request.body { items += form }
        let paging = try Paging(items, limits)
        let used = try clauses(
            type, items.filter { !Paging.names.contains($0.name) },
            ignoresUnknown: !request.prefer.isStrict)
        var query = RecordQuery(
            used.clauses.isEmpty ? [.all(of: type)] : used.clauses, limit: 1)
        let fingerprint = PageToken.fingerprint(of: query)
        if let token = paging.token {
            let page = try PageToken(token, fingerprint: fingerprint)
            guard case .search(let position) = page.position else {
                throw FHIRFailure(400, .value, "_page is not from a next link of this request")
            }
            query.after = position
        }

        var found: [Record] = []
        var bytes = 0
        repeat {
            query.limit = min(Self.piece, paging.count - found.count)
            let result = try await self.query(query)
            found += result.records
            bytes += result.records.reduce(0) { $0 + $1.value.count }
            query.after = result.next
        } while query.after != nil && found.count < paging.count && bytes < limits.pageBytesMax

        let next = query.after.map {
            PageToken(fingerprint: fingerprint, position: .search($0)).text
        }
        var answer = FHIRAnswer(status: 200)
        answer.bytesRead = bytes
        answer.body = try searchset(type, found, used.items, paging, next, request)
        return answer
    }

    private func searchset(
        _ type: String, _ found: [Record], _ used: [QueryItem], _ paging: Paging,
        _ next: String?, _ request: FHIRRequest
    ) throws(FHIRFailure) -> JSONValue {
        var entries: [JSONValue] = []
        for record in found {
            let key = String(decoding: record.key, as: UTF8.self)
            entries.append([
                "fullUrl": .string("\(request.base)/\(key)"),
                "resource": try KeptResource.rendered(record), "search": ["mode": "match"],
            ])
        }
        var bundle = JSONObject(["resourceType": "Bundle", "type": "searchset"])
        // Known without counting only when one page holds all.
        if paging.token == nil && next == nil { bundle["total"] = .number(String(found.count)) }
        bundle["link"] = paging.links("\(request.base)/\(type)", used, next: next)
        if !entries.isEmpty { bundle["entry"] = .array(entries) }
        return .object(bundle)
    }

    /// The clauses of the parameters that can be used, and those parameters.
    ///
    /// - Parameter ignoresUnknown: leave out parameters that are not known (FHIR R4 "Search",
    ///   "Handling errors"). Modifiers, prefixes and values that are not understood are always
    ///   refused.
    func clauses(
        _ type: String, _ items: [QueryItem], ignoresUnknown: Bool
    ) throws(FHIRFailure) -> (clauses: [SearchClause], items: [QueryItem]) {
        var clauses: [SearchClause] = []
        var used: [QueryItem] = []
        for item in items {
            do {
                clauses.append(
                    try SearchClause.parse(type: type, name: item.name, value: item.value))
                used.append(item)
            } catch {
                if case .unknown = error, ignoresUnknown { continue }
                throw FHIRFailure(error)
            }
        }
        if clauses.count > limits.searchClausesMax {
            throw FHIRFailure(
                400, .tooCostly,
                "\(clauses.count) search parameters, the limit is \(limits.searchClausesMax)")
        }
        return (clauses, used)
    }
}

/// The parameters of an answer's form, those that search and history share.
struct Paging: Sendable {
    static let names: Set<String> = ["_count", "_page", "_format", "_pretty"]

    var count: Int
    var token: String?

    init(_ items: [QueryItem], _ limits: FHIRLimits) throws(FHIRFailure) {
        count = limits.pageEntriesDefault
        if let text = items.last(where: { $0.name == "_count" })?.value {
            guard let wanted = Int(text), wanted > 0 else {
                throw FHIRFailure(400, .value, "_count is a number above 0")
            }
            count = min(wanted, limits.pageEntriesMax)
        }
        token = items.last { $0.name == "_page" }?.value
    }

    /// `Bundle.link`: what was answered, and where it goes on.
    func links(_ url: String, _ used: [QueryItem], next: String?) -> JSONValue {
        let items = used + [QueryItem(name: "_count", value: String(count))]
        let ownPage = token.map { [QueryItem(name: "_page", value: $0)] } ?? []
        var links: [JSONValue] = [
            [
                "relation": "self",
                "url": .string("\(url)?\(PercentCoding.encode(items + ownPage))"),
            ]
        ]
        if let next {
            let query = PercentCoding.encode(items + [QueryItem(name: "_page", value: next)])
            links.append(["relation": "next", "url": .string("\(url)?\(query)")])
        }
        return .array(links)
    }
}
