import FHIRCore
import Primitives
import RecordModel

/// One entry of a transaction or batch as it was sent, its form checked.
struct BundleEntry: Sendable {
    var index: Int
    var fullURL: String?
    var request: FHIRRequest

    /// - Parameter base: what full URLs of this server start with.
    init(
        _ entry: JSONValue, index: Int, base: String, prefer: Preferences
    ) throws(FHIRFailure) {
        self.index = index
        guard let fields = entry["request"]?.object else {
            throw FHIRFailure(400, .required, "request is missing").at(entry: index)
        }
        guard let url = fields["url"]?.string, let methodName = fields["method"]?.string else {
            throw FHIRFailure(400, .required, "request needs method and url").at(entry: index)
        }
        fullURL = entry["fullUrl"]?.string
        do {
            request = try Self.request(methodName, url, base: base)
        } catch {
            throw error.at(entry: index)
        }
        request.ifMatch = fields["ifMatch"]?.string
        request.ifNoneMatch = fields["ifNoneMatch"]?.string
        request.ifNoneExist = fields["ifNoneExist"]?.string
        request.prefer = prefer
        if let resource = entry["resource"] { request.body = .json(resource) }
        if request.method == .get { request.body = .none }
    }

    private static func request(
        _ methodName: String, _ url: String, base: String
    ) throws(FHIRFailure) -> FHIRRequest {
        var relative = url[...]
        if relative.hasPrefix(base + "/") { relative = relative.dropFirst(base.count + 1) }
        if relative.hasPrefix("/") { relative = relative.dropFirst() }
        let target = try RequestTarget(String(relative))
        let route = try FHIRRoute(target.path)
        let name = methodName == "HEAD" ? "GET" : methodName
        guard let method = FHIRRequest.Method(rawValue: name),
            route.allowedMethods.contains(method), route != .base
        else { throw route.methodFailure(methodName) }
        return FHIRRequest(method: method, route: route, query: target.query, base: base)
    }

    /// `Bundle.entry` of the answer.
    static func response(_ answer: FHIRAnswer, base: String, withBody: Bool) -> JSONValue {
        var response = JSONObject(["status": .string(StatusLine.text(answer.status))])
        if let location = answer.location { response["location"] = .string("\(base)/\(location)") }
        if let version = answer.version { response["etag"] = .string(EntityTag.text(version)) }
        if let lastModified = answer.lastModified {
            response["lastModified"] = .string(
                Moment.instant(microseconds: lastModified.microseconds))
        }
        var entry = JSONObject()
        if withBody, let body = answer.body { entry["resource"] = body }
        entry["response"] = .object(response)
        return .object(entry)
    }

    static func response(_ failure: FHIRFailure) -> JSONValue {
        [
            "response": [
                "status": .string(StatusLine.text(failure.status)),
                "outcome": failure.operationOutcome,
            ]
        ]
    }
}
