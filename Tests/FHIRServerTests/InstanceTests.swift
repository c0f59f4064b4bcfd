import FHIRCore
import HTTPTypes
import Primitives
import RecordModel
import Testing

/// Create, read, vread, update, delete (FHIR R4 "RESTful API").
@Suite struct InstanceTests {
    @Test func createdResourceIsReadBack() async throws {
        try await withFHIR { fhir in
            let created = try await fhir.post("Patient", patient("mine", family: "Windsor"))
            #expect(created.status == 201)
            #expect(created.location == "http://localhost/fhir/Patient/new-1/_history/2")
            #expect(created.etag == "W/\"2\"")
            #expect(created.headers[.lastModified] == "Fri, 01 Mar 2024 00:00:01 GMT")

            let read = try await fhir.get("Patient/new-1")
            #expect(read.status == 200)
            #expect(read.etag == "W/\"2\"")
            #expect(read.headers[.contentType] == "application/fhir+json; charset=utf-8")
            #expect(read.body == created.body)
            #expect(read.body["id"]?.string == "new-1")
            #expect(
                read.body["meta"] == [
                    "versionId": "2", "lastUpdated": "2024-03-01T00:00:01.000Z",
                ])
            #expect(read.body["name"] == patient(family: "Windsor")["name"])
        }
    }

    @Test func metadataOfTheClientIsKept() async throws {
        try await withFHIR { fhir in
            let meta: JSONValue = [
                "versionId": "77", "lastUpdated": "1999-01-01T00:00:00Z",
                "profile": ["http://example.org/p"], "tag": [["code": "x"]],
            ]
            let sent: JSONValue = ["resourceType": "Basic", "id": "a", "meta": meta]
            let reply = try await fhir.put("Basic/a", sent)
            #expect(reply.status == 201)
            #expect(
                try await fhir.get("Basic/a").body["meta"] == [
                    "versionId": "2", "lastUpdated": "2024-03-01T00:00:01.000Z",
                    "profile": ["http://example.org/p"], "tag": [["code": "x"]],
                ])
        }
    }

    @Test func everyByteOfTheContentsSurvives() async throws {
        try await withFHIR { fhir in
            let text = #"""
                {"resourceType":"Observation","id":"n","valueQuantity":{"value":1.50},"x":[0.10,\#
                -0,1E+400,123456789012345678901234567890,0.000000000000000000001,1e0],\#
                "y":"\u0000\"\\/\u00e9é👩🏽‍⚕️","z":{"b":1,"a":[],"c":{}}}
                """#
            let put = try await fhir.send(.put, "Observation/n", bytes: Array(text.utf8))
            #expect(put.status == 201)
            let read = try await fhir.get("Observation/n")
            let out = String(decoding: read.text, as: UTF8.self)
            #expect(out.contains(#""valueQuantity":{"value":1.50}"#))
            #expect(
                out.contains(
                    "[0.10,-0,1E+400,123456789012345678901234567890,0.000000000000000000001,1e0]"))
            #expect(out.contains(#""y":"\u0000\"\\/éé👩🏽‍⚕️","z":{"b":1,"a":[],"c":{}}"#))
        }
    }

    @Test func updateCreatesThenReplaces() async throws {
        try await withFHIR { fhir in
            #expect(try await fhir.put("Patient/p", patient("p")).status == 201)
            let second = try await fhir.put("Patient/p", patient("p", family: "Other"))
            #expect(second.status == 200)
            #expect(second.etag == "W/\"3\"")
            #expect(try await fhir.get("Patient/p/_history/2").body["name"] == patient()["name"])
            #expect(
                try await fhir.get("Patient/p/_history/3").body["name"]
                    == patient(family: "Other")["name"])
            #expect(try await fhir.get("Patient/p/_history/4").status == 404)
            #expect(try await fhir.get("Patient/p/_history/02").status == 404)
            #expect(try await fhir.get("Patient/p/_history/x").status == 404)
        }
    }

    @Test func deletedIsGoneAndItsPastStays() async throws {
        try await withFHIR { fhir in
            #expect(try await fhir.delete("Patient/p").status == 204)
            #expect(try await fhir.get("Patient/p").status == 404)
            _ = try await fhir.put("Patient/p", patient("p"))
            let deleted = try await fhir.delete("Patient/p")
            #expect(deleted.status == 204)
            #expect(deleted.etag == "W/\"3\"")
            let gone = try await fhir.get("Patient/p")
            #expect(gone.status == 410)
            #expect(gone.issue.code == "deleted")
            #expect(gone.etag == "W/\"3\"")
            #expect(try await fhir.get("Patient/p/_history/3").status == 410)
            #expect(try await fhir.get("Patient/p/_history/2").status == 200)
            #expect(try await fhir.delete("Patient/p").status == 204)
            #expect(try await fhir.put("Patient/p", patient("p")).status == 201)
        }
    }

    @Test func ifMatchGuardsUpdateAndDelete() async throws {
        try await withFHIR { fhir in
            _ = try await fhir.put("Patient/p", patient("p"))
            let stale = ["If-Match": "W/\"9\""]
            let refused = try await fhir.put("Patient/p", patient("p"), stale)
            #expect(refused.status == 412)
            #expect(refused.issue.code == "conflict")
            #expect(try await fhir.delete("Patient/p", stale).status == 412)
            #expect(try await fhir.get("Patient/p").etag == "W/\"2\"")
            #expect(
                try await fhir.put("Patient/p", patient("p"), ["If-Match": "W/\"2\""]).status
                    == 200)
            #expect(try await fhir.delete("Patient/p", ["If-Match": "W/\"3\""]).status == 204)
            #expect(
                try await fhir.put("Patient/q", patient("q"), ["If-Match": "W/\"1\""]).status
                    == 412)
            #expect(
                try await fhir.put("Patient/q", patient("q"), ["If-Match": "junk"]).status == 400)
        }
    }

    @Test func ifNoneMatchStarOnlyCreates() async throws {
        try await withFHIR { fhir in
            let only = ["If-None-Match": "*"]
            let first = try await fhir.put("Patient/p", patient("p"), only)
            #expect(first.status == 201)
            let second = try await fhir.put("Patient/p", patient("p"), only)
            #expect(second.status == 412)
        }
    }

    @Test func unchangedIsNotSentAgain() async throws {
        try await withFHIR { fhir in
            _ = try await fhir.put("Patient/p", patient("p"))
            let same = try await fhir.get("Patient/p", ["If-None-Match": "W/\"1\", W/\"2\""])
            #expect(same.status == 304)
            #expect(same.text.isEmpty)
            #expect(same.etag == "W/\"2\"")
            let other = try await fhir.get("Patient/p", ["If-None-Match": "W/\"1\""])
            #expect(other.status == 200)
        }
    }

    @Test func preferChoosesTheBody() async throws {
        try await withFHIR { fhir in
            let minimal = try await fhir.post("Patient", patient(), ["Prefer": "return=minimal"])
            #expect(minimal.status == 201)
            #expect(minimal.text.isEmpty)
            let outcome = try await fhir.post(
                "Patient", patient(), ["Prefer": "return=OperationOutcome"])
            #expect(outcome.body["resourceType"]?.string == "OperationOutcome")
        }
    }

    @Test func serverChosenIDThatIsTakenIsDrawnAgain() async throws {
        try await withFHIR { fhir in
            _ = try await fhir.put("Patient/new-1", patient("new-1", family: "First"))
            let created = try await fhir.post("Patient", patient(family: "Second"))
            #expect(created.location == "http://localhost/fhir/Patient/new-2/_history/3")
            #expect(
                try await fhir.get("Patient/new-1").body["name"]
                    == patient(family: "First")["name"])
        }
    }

    @Test func recordThatIsNoResourceIsTheServersFailure() async throws {
        try await withFHIR { fhir in
            _ = try fhir.service.apply(
                TxnRequest(
                    success: [
                        .put(
                            PutRequest(
                                key: Array("Patient/raw".utf8), value: Array("no".utf8)))
                    ]))
            let reply = try await fhir.get("Patient/raw")
            #expect(reply.status == 500)
            #expect(reply.issue.code == "exception")
        }
    }

    @Test func historyIsNewestFirstAndPaged() async throws {
        try await withFHIR { fhir in
            #expect(try await fhir.get("Patient/p/_history").status == 404)
            for family in ["A", "B", "C"] {
                _ = try await fhir.put("Patient/p", patient("p", family: family))
            }
            _ = try await fhir.delete("Patient/p")
            _ = try await fhir.put("Patient/p", patient("p", family: "E"))

            let all = try await fhir.get("Patient/p/_history")
            #expect(all.body["type"]?.string == "history")
            #expect(all.body["total"] == 5)
            #expect(all.link("next") == nil)
            let statuses = all.entries.map { $0["response"]?["status"]?.string }
            #expect(
                statuses == ["201 Created", "204 No Content", "200 OK", "200 OK", "201 Created"])
            let tags = all.entries.map { $0["response"]?["etag"]?.string }
            #expect(tags == [6, 5, 4, 3, 2].map { "W/\"\($0)\"" })
            let deletion = all.entries[1]
            #expect(deletion["request"] == ["method": "DELETE", "url": "Patient/p"])
            #expect(deletion["resource"] == nil)
            #expect(deletion["fullUrl"]?.string == "http://localhost/fhir/Patient/p")
            #expect(
                deletion["response"]?["lastModified"]?.string == "2024-03-01T00:00:04.000Z")
            #expect(all.entries[0]["request"] == ["method": "PUT", "url": "Patient/p"])

            var seen: [String?] = []
            var pages = 0
            var next: String? = "Patient/p/_history?_count=2"
            while let path = next {
                let page = try await fhir.get(path)
                #expect(page.status == 200)
                seen += page.entries.map { $0["response"]?["etag"]?.string }
                pages += 1
                next = page.link("next")
            }
            #expect(seen == tags)
            #expect(pages == 3)
        }
    }

    @Test func historyTokenOfAnotherResourceIsRefused() async throws {
        try await withFHIR { fhir in
            for _ in 0..<3 { _ = try await fhir.put("Patient/p", patient("p")) }
            _ = try await fhir.put("Patient/q", patient("q"))
            let page = try await fhir.get("Patient/p/_history?_count=1")
            let token = try #require(page.link("next")?.split(separator: "_page=").last)
            let other = try await fhir.get("Patient/q/_history?_page=\(token)")
            #expect(other.status == 400)
        }
    }
}
