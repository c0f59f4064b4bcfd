import FHIRCore
import FHIRServer
import HTTPTypes
import HummingbirdTesting
import Logging
import NIOCore
import Primitives
import RecordModel
import Testing

/// Content negotiation, paths, methods, limits and failures, as HTTP shows them.
@Suite struct HTTPTests {
    @Test(arguments: [
        ("application/fhir+json", 200), ("application/json", 200), ("*/*", 200),
        ("application/*", 200), ("text/html, application/fhir+json;q=0.9", 200),
        ("application/fhir+xml", 406), ("text/xml", 406),
        ("application/fhir+xml, */*;q=0.1", 200),
    ])
    func acceptIsHeeded(_ accept: String, _ status: Int) async throws {
        try await withFHIR { fhir in
            _ = try await fhir.put("Patient/p", patient("p"))
            let reply = try await fhir.get("Patient/p", ["Accept": accept])
            #expect(reply.status == status)
            if status == 406 { #expect(reply.issue.code == "not-supported") }
        }
    }

    @Test func formatParameterOverridesAccept() async throws {
        try await withFHIR { fhir in
            _ = try await fhir.put("Patient/p", patient("p"))
            let xml = ["Accept": "application/fhir+xml"]
            #expect(try await fhir.get("Patient/p?_format=json", xml).status == 200)
            #expect(
                try await fhir.get("Patient/p?_format=application/fhir+json", xml).status == 200)
            #expect(try await fhir.get("Patient/p?_format=xml").status == 406)
            let pretty = try await fhir.get("Patient/p?_pretty=true")
            #expect(
                String(decoding: pretty.text, as: UTF8.self).hasPrefix(
                    "{\n  \"resourceType\": \"Patient\",\n  \"id\": \"p\",\n  \"meta\": {\n"))
            #expect(pretty.body == (try await fhir.get("Patient/p")).body)
        }
    }

    @Test(arguments: [
        ("application/fhir+json", 201), ("application/json; charset=utf-8", 201),
        ("application/fhir+json; charset=\"UTF-8\"", 201),
        ("application/json; charset=latin1", 415), ("application/fhir+xml", 415),
        ("text/plain", 415), ("application/x-www-form-urlencoded", 415),
    ])
    func contentTypeIsHeeded(_ type: String, _ status: Int) async throws {
        try await withFHIR { fhir in
            let reply = try await fhir.put("Patient/p", patient("p"), ["Content-Type": type])
            #expect(reply.status == status)
        }
    }

    @Test func headIsGetWithoutItsBody() async throws {
        try await withFHIR { fhir in
            _ = try await fhir.put("Patient/p", patient("p"))
            let get = try await fhir.get("Patient/p")
            let head = try await fhir.send(.head, "Patient/p")
            #expect(head.status == 200)
            #expect(head.text.isEmpty)
            #expect(head.etag == get.etag)
            #expect(head.headers[.contentLength] == String(get.text.count))
        }
    }

    @Test(arguments: [
        (HTTPRequest.Method.get, "Nonsense", 404, "not-supported"),
        (.get, "patient/p", 404, "not-supported"),
        (.get, "Patient/p/extra", 404, "not-found"),
        (.get, "Patient/p/_history/1/x", 404, "not-supported"),
        (.get, "Patient/p/$everything", 404, "not-supported"),
        (.get, "Patient/_history", 404, "not-supported"),
        (.get, "_history", 404, "not-supported"),
        (.get, "Patient/a_b", 400, "value"),
        (.get, "Patient/%C3%A9", 400, "value"),
        (.get, "Patient/%zz", 400, "value"),
        (.get, "", 405, "not-supported"),
        (.delete, "metadata", 405, "not-supported"),
        (.patch, "Patient/p", 405, "not-supported"),
        (.post, "Patient/p", 405, "not-supported"),
        (.put, "Patient/p/_history/1", 405, "not-supported"),
        (.options, "Patient", 405, "not-supported"),
    ])
    func pathsAndMethodsThatAreNotThere(
        _ method: HTTPRequest.Method, _ path: String, _ status: Int, _ code: String
    ) async throws {
        try await withFHIR { fhir in
            let reply = try await fhir.send(method, path)
            #expect(reply.status == status, "\(path)")
            #expect(reply.issue.code == code, "\(path)")
            if status == 405 { #expect(reply.headers[.allow] != nil) }
        }
    }

    @Test func outsideOfTheMountNothingIsServed() async throws {
        try await withFHIR { fhir in
            let response = try await fhir.client.executeRequest(
                uri: "/Patient", method: .get, headers: [:], body: nil)
            #expect(response.status == .notFound)
        }
    }

    @Test func idOf65CharactersIsRefused() async throws {
        try await withFHIR { fhir in
            let longest = String(repeating: "x", count: 64)
            #expect(try await fhir.put("Patient/\(longest)", patient(longest)).status == 201)
            let reply = try await fhir.put("Patient/\(longest)x", patient(longest + "x"))
            #expect(reply.status == 400)
            #expect(reply.issue.diagnostics?.contains("this has 65 characters") == true)
        }
    }

    @Test(arguments: [
        (#"{"resourceType":"Patient","id":"p""#, "the text ends inside a value at byte 34"),
        (#"{"resourceType":"Patient",}"#, "unexpected byte 0x7D at byte 26"),
        (#"{"id":"p","id":"p"}"#, "a second member of the same name at byte 10"),
        ("", "the text ends inside a value at byte 0"),
        ("[]", "A resource is a JSON object"),
        (#"{"id":"p"}"#, "The resource has no resourceType"),
        (#"{"resourceType":"Basic","id":"p"}"#, "The resource's resourceType is not Patient"),
        (#"{"resourceType":"Patient"}"#, "The resource has no id"),
        (#"{"resourceType":"Patient","id":"q"}"#, "The resource's id is not the URL's"),
        (#"{"resourceType":"Patient","id":7}"#, "id is not a string"),
        (#"{"resourceType":"Patient","id":"p","meta":7}"#, "meta is not an object"),
    ])
    func bodiesThatAreNoResourceAreRefused(_ text: String, _ reason: String) async throws {
        try await withFHIR { fhir in
            let reply = try await fhir.send(.put, "Patient/p", bytes: Array(text.utf8))
            #expect(reply.status == 400)
            #expect(reply.issue.diagnostics?.hasSuffix(reason) == true)
            #expect(fhir.service.executed == 0)
        }
    }

    @Test func bodyAtItsLimitIsTakenAndOneByteMoreIsNot() async throws {
        try await withFHIR { limits in
            limits.bodyBytesMax = 1_000
        } _: { fhir in
            let prefix = #"{"resourceType":"Basic","id":"p","x":""#
            let text = prefix + String(repeating: "y", count: 1_000 - prefix.utf8.count - 2) + "\"}"
            let taken = try await fhir.send(.put, "Basic/p", bytes: Array(text.utf8))
            #expect(taken.status == 201)
            let refused = try await fhir.send(.put, "Basic/p", bytes: Array((text + " ").utf8))
            #expect(refused.status == 413)
            #expect(refused.issue.code == "too-long")
        }
    }

    @Test(arguments: [
        (RecordServiceError.unavailable(reason: "no leader"), 503, "transient"),
        (.outcomeUnknown(reason: "leader lost"), 504, "timeout"),
        (.tooLarge(bytes: 10, limit: 5), 413, "too-long"),
        (.refused(.restoring(restoreID: "r")), 503, "transient"),
        (.refused(.emptyKey), 500, "exception"),
    ])
    func storeFailuresAreToldAndNeverRetried(
        _ error: RecordServiceError, _ status: Int, _ code: String
    ) async throws {
        try await withFHIR { fhir in
            fhir.service.fail(error)
            let reply = try await fhir.put("Patient/p", patient("p"))
            #expect(reply.status == status)
            #expect(reply.issue.code == code)
            #expect((reply.headers[.retryAfter] != nil) == (status == 503))
            #expect(fhir.service.executed == 0)
            fhir.service.fail(error)
            let transaction = try await fhir.post(
                "", bundle("transaction", [entry("POST", "Patient", patient())]))
            #expect(transaction.status == status)
            #expect(fhir.service.executed == 0)
            fhir.service.fail(error)
            #expect(try await fhir.get("Patient/p").status == status)
        }
    }

    @Test func capabilitiesNameWhatIsThere() async throws {
        try await withFHIR { fhir in
            let reply = try await fhir.get("metadata")
            #expect(reply.status == 200)
            #expect(reply.body["fhirVersion"]?.string == "4.0.1")
            let rest = try #require(reply.body["rest"]?.array?.first)
            let resources = try #require(rest["resource"]?.array)
            #expect(resources.compactMap { $0["type"]?.string } == ResourceType.all)
            let patient = try #require(resources.first { $0["type"]?.string == "Patient" })
            let parameters = patient["searchParam"]?.array?.compactMap { $0["name"]?.string }
            #expect(parameters == ["_id", "birthdate", "family", "gender", "given", "identifier"])
            #expect(rest["documentation"]?.string?.contains("Not there yet: validation") == true)
        }
    }

    @Test func baseComesFromTheSettingsWhenTheyNameOne() async throws {
        let settings = FHIRServerSettings(baseURL: "https://fhir.example.org/fhir")
        let application = makeFHIRApplication(
            service: try TestRecordService(), settings: settings, logger: Logger(label: "test"),
            newID: { "one" })
        try await application.test(.router) { client in
            let response = try await client.executeRequest(
                uri: "/fhir/Patient", method: .post, headers: [.contentType: "application/json"],
                body: ByteBuffer(bytes: patient().serialized()))
            #expect(
                response.headers[.location]
                    == "https://fhir.example.org/fhir/Patient/one/_history/2")
        }
    }

    @Test func serverStartsServesAndStops() async throws {
        let service = try TestRecordService()
        let server = FHIRHTTPServer(
            service: service, settings: FHIRServerSettings(), logger: Logger(label: "test"))
        let port = try await server.start()
        #expect(port > 0)
        let client = TestClient(host: "127.0.0.1", port: port)
        client.connect()
        let reply = try await client.execute(
            .init(
                "/fhir/Patient", method: .post, authority: "127.0.0.1:\(port)",
                headers: [.contentType: "application/json"],
                body: ByteBuffer(bytes: patient().serialized())))
        #expect(reply.status == .created)
        let location = try #require(reply.headers[.location])
        let parts = location.split(separator: "/").map(String.init)
        #expect(parts[1] == "127.0.0.1:\(port)")
        #expect(ResourceID.isValid(parts[4]) && parts[4].count == 36)

        let taken = FHIRHTTPServer(
            service: service, settings: FHIRServerSettings(port: port),
            logger: Logger(label: "test"))
        await #expect(throws: (any Error).self) { try await taken.start() }

        try await client.shutdown()
        await server.stop()
        let again = FHIRHTTPServer(
            service: service, settings: FHIRServerSettings(port: port),
            logger: Logger(label: "test"))
        #expect(try await again.start() == port)
        await again.stop()
    }

    @Test func randomIDsAreVersion4UUIDs() {
        var seen: Set<String> = []
        for _ in 0..<1_000 {
            let id = randomResourceID()
            #expect(id.count == 36 && ResourceID.isValid(id))
            let parts = id.split(separator: "-").map(Array.init)
            #expect(parts.map(\.count) == [8, 4, 4, 4, 12])
            #expect(parts[2][0] == "4" && "89ab".contains(parts[3][0]))
            #expect(seen.insert(id).inserted)
        }
    }
}
