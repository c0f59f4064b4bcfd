import FHIRCore
import HTTPTypes
import Hummingbird
import Primitives

extension HTTPField.Name {
    /// FHIR R4 "RESTful API", conditional create.
    static var ifNoneExist: Self { Self("If-None-Exist")! }
    static var prefer: Self { Self("Prefer")! }
}

/// A request's line and header fields, read as FHIR reads them, and the responses to it.
struct RequestHead: Sendable {
    var methodName: String
    /// nil for methods that FHIR R4 does not use here. HEAD is GET whose body is left out.
    var method: FHIRRequest.Method?
    var fields: HTTPFields
    var base: String
    private var path: String
    private var isHead: Bool

    init(_ head: HTTPRequest, baseURL: String?) {
        methodName = head.method.rawValue
        isHead = head.method == .head
        method = isHead ? .get : FHIRRequest.Method(rawValue: methodName)
        fields = head.headerFields
        path = head.path ?? "/"
        base = baseURL ?? "http://\(head.authority ?? "localhost")/\(FHIRResponder.mount)"
    }

    struct Target {
        var path: [String]
        var query: [QueryItem]
        var isPretty: Bool { query.contains { $0.name == "_pretty" && $0.value == "true" } }
    }

    func target() throws(FHIRFailure) -> Target {
        let target = try RequestTarget(path)
        return Target(path: Array(target.path.dropFirst()), query: target.query)
    }

    /// For logs: nothing of the path but a resource type.
    var typeName: String {
        let segments = path.prefix { $0 != "?" }.split(separator: "/")
        guard segments.count > 1, ResourceType.exists(segments[1]) else { return "-" }
        return String(segments[1])
    }

    /// JSON is what there is: asked for by `_format`, else by Accept, else by nobody.
    func checkFormat(_ query: [QueryItem]) throws(FHIRFailure) {
        let ranges: [String]
        if let format = query.last(where: { $0.name == "_format" })?.value {
            // A plus sign that was not escaped has become a space.
            ranges = [format == "json" ? "application/json" : format.replacingSpaces]
        } else if let accept = fields[.accept] {
            ranges = accept.split(separator: ",").map(String.init)
        } else {
            return
        }
        let isTaken = ranges.contains { Self.json.union(Self.wildcards).contains(mediaType($0)) }
        if !isTaken {
            throw FHIRFailure(
                406, .notSupported, "Only application/fhir+json and application/json are served")
        }
    }

    private static let json: Set<String> = [
        "application/fhir+json", "application/json", "text/json",
    ]
    private static let wildcards: Set<String> = ["*/*", "application/*"]

    private func mediaType(_ text: String) -> String {
        text.prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
    }

    func checkContentType(isForm: Bool) throws(FHIRFailure) {
        let given = fields[.contentType] ?? ""
        let taken = isForm ? ["application/x-www-form-urlencoded"] : Self.json
        let charset = given.lowercased().split(separator: ";").dropFirst()
            .map { $0.filter { $0 != " " && $0 != "\"" } }
            .first { $0.hasPrefix("charset=") }
        if !taken.contains(mediaType(given)) {
            let wanted =
                isForm
                ? "application/x-www-form-urlencoded"
                : "application/fhir+json or application/json"
            throw FHIRFailure(415, .notSupported, "The body's Content-Type must be \(wanted)")
        }
        if let charset, charset != "charset=utf-8" {
            throw FHIRFailure(415, .notSupported, "The body's charset must be UTF-8")
        }
    }

    func response(_ answer: FHIRAnswer, isPretty: Bool) -> Response {
        var headers = HTTPFields()
        if let version = answer.version { headers[.eTag] = EntityTag.text(version) }
        if let lastModified = answer.lastModified {
            headers[.lastModified] = Moment.httpDate(microseconds: lastModified.microseconds)
        }
        if let location = answer.location { headers[.location] = "\(base)/\(location)" }
        return response(answer.status, headers, answer.body, isPretty: isPretty)
    }

    func response(_ failure: FHIRFailure) -> Response {
        var headers = HTTPFields()
        if let version = failure.version { headers[.eTag] = EntityTag.text(version) }
        if let seconds = failure.retryAfterSeconds { headers[.retryAfter] = String(seconds) }
        if !failure.allow.isEmpty { headers[.allow] = failure.allow.joined(separator: ", ") }
        return response(failure.status, headers, failure.operationOutcome, isPretty: false)
    }

    private func response(
        _ status: Int, _ headers: HTTPFields, _ body: JSONValue?, isPretty: Bool
    ) -> Response {
        let status = HTTPResponse.Status(code: status)
        guard let body else { return Response(status: status, headers: headers) }
        var headers = headers
        headers[.contentType] = "application/fhir+json; charset=utf-8"
        let bytes = body.serialized(isPretty ? .pretty : .compact)
        headers[.contentLength] = String(bytes.count)
        if isHead { return Response(status: status, headers: headers) }
        return Response(
            status: status, headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}

extension String {
    fileprivate var replacingSpaces: String { String(map { $0 == " " ? "+" : $0 }) }
}
