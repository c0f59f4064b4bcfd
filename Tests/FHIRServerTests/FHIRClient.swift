import FHIRCore
import FHIRServer
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import Synchronization
import Testing

/// An answer with its body parsed.
struct FHIRReply: Sendable {
    var status: Int
    var headers: HTTPFields
    var text: [UInt8]
    var body: JSONValue

    var etag: String? { headers[.eTag] }
    var location: String? { headers[.location] }
    /// `code` and `diagnostics` of an OperationOutcome's only issue.
    var issue: (code: String?, diagnostics: String?) {
        guard body["resourceType"]?.string == "OperationOutcome" else { return (nil, nil) }
        let issue = body["issue"]?.array?.first
        return (issue?["code"]?.string, issue?["diagnostics"]?.string)
    }
    var entries: [JSONValue] { body["entry"]?.array ?? [] }
    /// `Type/id` of each entry's resource, in order.
    var found: [String] {
        entries.compactMap { entry in
            guard let resource = entry["resource"] else { return nil }
            return "\(resource["resourceType"]?.string ?? "?")/\(resource["id"]?.string ?? "?")"
        }
    }
    func link(_ relation: String) -> String? {
        body["link"]?.array?.first { $0["relation"]?.string == relation }?["url"]?.string
    }
}

/// Speaks FHIR to an application under test.
struct FHIRClient: Sendable {
    static let base = "http://localhost/fhir"

    var client: any TestClientProtocol
    var service: TestRecordService

    func send(
        _ method: HTTPRequest.Method, _ path: String, _ headers: [String: String] = [:],
        bytes: [UInt8]? = nil
    ) async throws -> FHIRReply {
        var fields = HTTPFields()
        for (name, value) in headers {
            fields.append(HTTPField(name: try #require(HTTPField.Name(name)), value: value))
        }
        if bytes != nil, fields[.contentType] == nil {
            fields[.contentType] = "application/fhir+json"
        }
        let uri = path.hasPrefix(Self.base) ? String(path.dropFirst(16)) : "/fhir/\(path)"
        let response = try await client.executeRequest(
            uri: uri, method: method, headers: fields, body: bytes.map { ByteBuffer(bytes: $0) })
        let text = Array(response.body.readableBytesView)
        return FHIRReply(
            status: response.status.code, headers: response.headers, text: text,
            body: text.isEmpty ? .null : try JSONParser.parse(text))
    }

    func get(_ path: String, _ headers: [String: String] = [:]) async throws -> FHIRReply {
        try await send(.get, path, headers)
    }

    func put(
        _ path: String, _ body: JSONValue, _ headers: [String: String] = [:]
    ) async throws -> FHIRReply {
        try await send(.put, path, headers, bytes: body.serialized())
    }

    func post(
        _ path: String, _ body: JSONValue, _ headers: [String: String] = [:]
    ) async throws -> FHIRReply {
        try await send(.post, path, headers, bytes: body.serialized())
    }

    func delete(_ path: String, _ headers: [String: String] = [:]) async throws -> FHIRReply {
        try await send(.delete, path, headers)
    }
}

/// Runs a test against a fresh store. Ids of the server are `new-1`, `new-2`, ….
func withFHIR(
    _ change: (inout FHIRLimits) -> Void = { _ in },
    _ test: @Sendable (FHIRClient) async throws -> Void
) async throws {
    var settings = FHIRServerSettings()
    change(&settings.limits)
    let service = try TestRecordService()
    let ids = IDCounter()
    let application = makeFHIRApplication(
        service: service, settings: settings, logger: Logger(label: "test"), newID: ids.next)
    try await application.test(.router) { client in
        try await test(FHIRClient(client: client, service: service))
    }
}

private final class IDCounter: Sendable {
    private let count = Mutex(0)

    @Sendable func next() -> String {
        count.withLock { count in
            count += 1
            return "new-\(count)"
        }
    }
}

func patient(
    _ id: String? = nil, family: String = "Chalmers", given: [String] = ["Peter"],
    birthDate: String? = nil, gender: String? = nil, identifier: (String, String)? = nil
) -> JSONValue {
    var resource = JSONObject(["resourceType": "Patient"])
    if let id { resource["id"] = .string(id) }
    if let identifier {
        resource["identifier"] = [
            ["system": .string(identifier.0), "value": .string(identifier.1)]
        ]
    }
    resource["name"] = [
        ["family": .string(family), "given": .array(given.map { .string($0) })]
    ]
    if let gender { resource["gender"] = .string(gender) }
    if let birthDate { resource["birthDate"] = .string(birthDate) }
    return .object(resource)
}
