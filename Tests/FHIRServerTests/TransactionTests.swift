import FHIRCore
import FHIRServer
import Primitives
import RecordModel
import Testing

func bundle(_ type: String, _ entries: [JSONValue]) -> JSONValue {
    ["resourceType": "Bundle", "type": .string(type), "entry": .array(entries)]
}

func entry(
    _ method: String, _ url: String, _ resource: JSONValue? = nil, fullURL: String? = nil,
    _ more: [(String, String)] = []
) -> JSONValue {
    var request = JSONObject(["method": .string(method), "url": .string(url)])
    for (name, value) in more { request[name] = .string(value) }
    var entry = JSONObject()
    if let fullURL { entry["fullUrl"] = .string(fullURL) }
    if let resource { entry["resource"] = resource }
    entry["request"] = .object(request)
    return .object(entry)
}

private func observation(_ subject: String) -> JSONValue {
    ["resourceType": "Observation", "subject": ["reference": .string(subject)]]
}

extension FHIRReply {
    /// `response.status` of each entry.
    fileprivate var statuses: [String?] { entries.map { $0["response"]?["status"]?.string } }
}

/// Transaction and batch (FHIR R4 "RESTful API").
@Suite struct TransactionTests {
    @Test func oneLogEntryWhateverTheNumberOfResources() async throws {
        try await withFHIR { fhir in
            let entries = (0..<300).map { number in
                entry("POST", "Patient", patient(), fullURL: "urn:uuid:\(number)")
            }
            let reply = try await fhir.post("", bundle("transaction", entries))
            #expect(reply.status == 200)
            #expect(reply.body["type"]?.string == "transaction-response")
            #expect(reply.statuses == Array(repeating: "201 Created", count: 300))
            #expect(fhir.service.executed == 1)
            let response = try #require(reply.entries[299]["response"])
            #expect(
                response["location"]?.string
                    == "http://localhost/fhir/Patient/new-300/_history/2")
            #expect(response["etag"]?.string == "W/\"2\"")
            #expect(response["lastModified"]?.string == "2024-03-01T00:00:01.000Z")
        }
    }

    @Test func referencesBecomeTheAssignedIdentities() async throws {
        try await withFHIR { fhir in
            let urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
            let resource: JSONValue = [
                "resourceType": "Observation",
                "text": [
                    "status": "generated",
                    "div": .string("<div><a href=\"\(urn)\">x</a> \(urn) <b id='\(urn)'/></div>"),
                ],
                "identifier": [["system": "urn:ietf:rfc:3986", "value": .string(urn)]],
                "subject": ["reference": .string(urn)],
                "performer": [["reference": "urn:uuid:unknown"], ["reference": "#here"]],
                "extension": [["url": "http://x", "valueUri": .string(urn)]],
            ]
            let reply = try await fhir.post(
                "",
                bundle(
                    "transaction",
                    [
                        entry("POST", "Observation", resource, fullURL: "urn:uuid:o"),
                        entry("POST", "Patient", patient(), fullURL: urn),
                    ]))
            #expect(reply.status == 200)
            let kept = try await fhir.get("Observation/new-1").body
            #expect(kept["subject"]?["reference"] == "Patient/new-2")
            #expect(
                kept["text"]?["div"]?.string
                    == "<div><a href=\"Patient/new-2\">x</a> \(urn) <b id='\(urn)'/></div>")
            #expect(kept["identifier"] == resource["identifier"])
            #expect(kept["performer"] == resource["performer"])
            #expect(kept["extension"]?.array?.first?["valueUri"] == "Patient/new-2")
        }
    }

    @Test func relativeReferencesFollowTheirEntrysBase() async throws {
        try await withFHIR { fhir in
            let reply = try await fhir.post(
                "",
                bundle(
                    "transaction",
                    [
                        entry(
                            "POST", "Observation", observation("Patient/9"),
                            fullURL: "http://other/r4/Observation/1"),
                        entry(
                            "POST", "Patient", patient("9"),
                            fullURL: "http://other/r4/Patient/9"),
                    ]))
            #expect(reply.status == 200)
            let kept = try await fhir.get("Observation/new-1").body
            #expect(kept["subject"]?["reference"] == "Patient/new-2")
        }
    }

    @Test func everyMethodInOneTransaction() async throws {
        try await withFHIR { fhir in
            _ = try await fhir.put("Patient/old", patient("old"))
            _ = try await fhir.put("Patient/kept", patient("kept"))
            let reply = try await fhir.post(
                "",
                bundle(
                    "transaction",
                    [
                        entry("GET", "Patient/kept"),
                        entry("GET", "Patient?family=new"),
                        entry("PUT", "Patient/kept", patient("kept", family: "New")),
                        entry("POST", "Patient", patient(family: "Newer")),
                        entry("DELETE", "Patient/old"),
                        entry("DELETE", "Patient/never"),
                        entry("PUT", "Patient/fresh", patient("fresh")),
                        entry("GET", "Patient/old"),
                    ]))
            #expect(reply.status == 200)
            #expect(
                reply.statuses == [
                    "200 OK", "200 OK", "200 OK", "201 Created", "204 No Content",
                    "204 No Content", "201 Created", "410 Gone",
                ])
            // Reads see the writes.
            #expect(
                reply.entries[0]["resource"]?["name"] == patient(family: "New")["name"])
            #expect(reply.entries[1]["resource"]?["entry"]?.array?.count == 2)
            #expect(fhir.service.executed == 3)
        }
    }

    @Test func allOrNothing() async throws {
        try await withFHIR { fhir in
            _ = try await fhir.put("Patient/p", patient("p"))
            let bad: [(JSONValue, Int)] = [
                (
                    entry("PUT", "Patient/p", patient("p"), fullURL: nil, [("ifMatch", "W/\"9\"")]),
                    412
                ),
                (entry("POST", "Patient", ["resourceType": "Basic"]), 400),
                (entry("PUT", "Patient/x", patient("y")), 400),
                (entry("PUT", "Patient/new!", patient("y")), 400),
                (entry("PATCH", "Patient/p", patient("p")), 405),
                (entry("POST", "Nothing", patient()), 404),
                (entry("POST", "Patient"), 400),
                (entry("POST", "Observation", observation("Patient?identifier=none")), 412),
                (entry("PUT", "Patient/first", patient("first")), 400),
                (["fullUrl": "urn:uuid:x"], 400),
            ]
            for (number, (wrong, status)) in bad.enumerated() {
                let reply = try await fhir.post(
                    "",
                    bundle(
                        "transaction",
                        [entry("PUT", "Patient/first", patient("first")), wrong]))
                #expect(reply.status == status, "case \(number)")
                #expect(reply.issue.diagnostics?.hasPrefix("Entry 1: ") == true, "case \(number)")
                #expect(try await fhir.get("Patient/first").status == 404, "case \(number)")
            }
        }
    }

    @Test func sameFullURLTwiceIsRefused() async throws {
        try await withFHIR { fhir in
            let twice = entry("POST", "Patient", patient(), fullURL: "urn:uuid:same")
            let reply = try await fhir.post("", bundle("transaction", [twice, twice]))
            #expect(reply.status == 400)
            #expect(reply.issue.code == "duplicate")
        }
    }

    @Test func conditionalReferenceIsResolvedBySearch() async throws {
        try await withFHIR { fhir in
            _ = try await fhir.put("Patient/p", patient("p", identifier: ("urn:s", "1")))
            let sent = bundle(
                "transaction",
                [entry("POST", "Observation", observation("Patient?identifier=urn:s|1"))])
            let reply = try await fhir.post("", sent)
            #expect(reply.status == 200)
            let kept = try await fhir.get("Observation/new-1").body
            #expect(kept["subject"]?["reference"] == "Patient/p")
            // A second match makes it ambiguous.
            _ = try await fhir.put("Patient/q", patient("q", identifier: ("urn:s", "1")))
            let ambiguous = try await fhir.post("", sent)
            #expect(ambiguous.status == 412)
            #expect(ambiguous.issue.code == "multiple-matches")
        }
    }

    @Test func ifNoneExistFindsOrCreates() async throws {
        try await withFHIR { fhir in
            let person = patient(identifier: ("urn:s", "1"))
            let sent = bundle(
                "transaction",
                [
                    entry(
                        "POST", "Patient", person, fullURL: "urn:uuid:p",
                        [("ifNoneExist", "identifier=urn:s|1")]),
                    entry("POST", "Observation", observation("urn:uuid:p")),
                ])
            let first = try await fhir.post("", sent)
            #expect(first.statuses == ["201 Created", "201 Created"])
            let second = try await fhir.post("", sent)
            #expect(second.statuses == ["200 OK", "201 Created"])
            #expect(
                second.entries[0]["response"]?["location"]?.string
                    == "http://localhost/fhir/Patient/new-1/_history/2")
            let kept = try await fhir.get("Observation/new-4").body
            #expect(kept["subject"]?["reference"] == "Patient/new-1")
            #expect(try await fhir.get("Patient").found == ["Patient/new-1"])

            let alone = try await fhir.post(
                "Patient", person, ["If-None-Exist": "identifier=urn:s|1"])
            #expect(alone.status == 200)
            #expect(alone.body["id"]?.string == "new-1")
        }
    }

    @Test func conditionalUpdateAndDelete() async throws {
        try await withFHIR { fhir in
            let person = patient(identifier: ("urn:s", "1"))
            let path = "Patient?identifier=urn:s%7C1"
            #expect(try await fhir.put(path, person).status == 201)
            let changed = patient(family: "Changed", identifier: ("urn:s", "1"))
            let update = try await fhir.put(path, changed)
            #expect(update.status == 200)
            #expect(update.body["id"]?.string == "new-1")
            #expect(
                try await fhir.put(path, patient("z", identifier: ("urn:s", "1"))).status == 400)
            #expect(try await fhir.put("Patient?nothing=1", person).status == 400)
            #expect(try await fhir.put("Patient", person).status == 400)
            _ = try await fhir.put("Patient/twin", patient("twin", identifier: ("urn:s", "1")))
            #expect(try await fhir.put(path, person).status == 412)
            #expect(try await fhir.delete(path).status == 412)
            _ = try await fhir.delete("Patient/twin")
            let inBundle = try await fhir.post(
                "", bundle("transaction", [entry("PUT", path, person)]))
            #expect(inBundle.statuses == ["200 OK"])
            let deletion = try await fhir.post("", bundle("transaction", [entry("DELETE", path)]))
            #expect(deletion.statuses == ["204 No Content"])
            #expect(try await fhir.get("Patient/new-1").status == 410)
            #expect(try await fhir.delete(path).status == 204)
        }
    }

    @Test func changeInBetweenMakesTheTransactionStartOver() async throws {
        try await withFHIR { fhir in
            _ = try await fhir.put("Patient/p", patient("p", identifier: ("urn:s", "1")))
            // Between the search and the write another client deletes the match.
            fhir.service.interfere { service in
                let deletion = DeleteRangeRequest(range: .key(Array("Patient/p".utf8)))
                _ = try? service.apply(TxnRequest(success: [.deleteRange(deletion)]))
            }
            let reply = try await fhir.post(
                "",
                bundle(
                    "transaction",
                    [
                        entry(
                            "POST", "Patient", patient(), fullURL: nil,
                            [("ifNoneExist", "identifier=urn:s|1")]),
                        entry("POST", "Patient", patient()),
                    ]))
            #expect(reply.statuses == ["201 Created", "201 Created"])
            #expect(try await fhir.get("Patient").found == ["Patient/new-1", "Patient/new-2"])
        }
    }

    @Test func endlessConflictIsToldAsOne() async throws {
        try await withFHIR { fhir in
            _ = try await fhir.put("Patient/p", patient("p", identifier: ("urn:s", "1")))
            let again = try #require(fhir.service.lastTxn)
            for _ in 0...FHIRLimits().conflictRetriesMax {
                fhir.service.interfere { _ = try? $0.apply(again) }
            }
            let reply = try await fhir.post(
                "",
                bundle(
                    "transaction",
                    [entry("PUT", "Patient?identifier=1", patient(identifier: ("urn:s", "1")))]))
            #expect(reply.status == 409)
            #expect(reply.issue.code == "conflict")
        }
    }

    @Test func batchEntriesSucceedAndFailAlone() async throws {
        try await withFHIR { fhir in
            let reply = try await fhir.post(
                "",
                bundle(
                    "batch",
                    [
                        entry("POST", "Patient", patient()),
                        entry("PUT", "Patient/p", patient("other")),
                        entry("GET", "Patient/none"),
                        entry("PUT", "Patient/q", patient("q")),
                        entry("GET", "metadata"),
                        entry("POST", "", bundle("batch", [])),
                        ["request": ["method": "GET"]],
                    ]))
            #expect(reply.status == 200)
            #expect(reply.body["type"]?.string == "batch-response")
            #expect(
                reply.statuses == [
                    "201 Created", "400 Bad Request", "404 Not Found", "201 Created", "200 OK",
                    "405 Method Not Allowed", "400 Bad Request",
                ])
            let outcome = reply.entries[2]["response"]?["outcome"]
            #expect(outcome?["resourceType"]?.string == "OperationOutcome")
            #expect(
                outcome?["issue"]?.array?.first?["expression"] == ["Bundle.entry[2]"])
        }
    }

    @Test func batchLargerThanItsConcurrencyAnswersInOrder() async throws {
        try await withFHIR { fhir in
            let ids = (0..<50).map { "p\($0)" }
            let reply = try await fhir.post(
                "", bundle("batch", ids.map { entry("PUT", "Patient/\($0)", patient($0)) }))
            let locations = reply.entries.map { $0["response"]?["location"]?.string ?? "" }
            for (id, location) in zip(ids, locations) {
                #expect(location.hasPrefix("http://localhost/fhir/Patient/\(id)/_history/"))
            }
            #expect(locations.count == 50)
        }
    }

    @Test func batchReadsAreBounded() async throws {
        try await withFHIR { limits in
            limits.batchReadBytesMax = 100
            limits.batchConcurrencyMax = 1
        } _: { fhir in
            _ = try await fhir.put("Patient/p", patient("p"))
            let reads = [JSONValue](repeating: entry("GET", "Patient/p"), count: 4)
            for type in ["batch", "transaction"] {
                let reply = try await fhir.post("", bundle(type, reads))
                #expect(reply.statuses.first == "200 OK")
                #expect(reply.statuses.last == "413 Content Too Large", "\(type)")
            }
        }
    }

    @Test func bundleOfAnotherTypeIsForItsOwnPath() async throws {
        try await withFHIR { fhir in
            #expect(try await fhir.post("", bundle("document", [])).status == 400)
            #expect(try await fhir.post("", patient()).status == 400)
            #expect(try await fhir.post("Bundle", bundle("document", [])).status == 201)
            let empty = try await fhir.post("", bundle("transaction", []))
            #expect(empty.status == 200)
            #expect(fhir.service.executed == 1)
        }
    }

    @Test func tooManyEntriesAreRefused() async throws {
        try await withFHIR { limits in
            limits.bundleEntriesMax = 2
        } _: { fhir in
            let three = [JSONValue](repeating: entry("POST", "Patient", patient()), count: 3)
            let reply = try await fhir.post("", bundle("transaction", three))
            #expect(reply.status == 413)
            #expect(fhir.service.executed == 0)
        }
    }
}
