import FHIRCore
import FHIRServer
import HTTPTypes
import Primitives
import RecordModel
import Testing

/// Search by index terms (FHIR R4 "Search").
@Suite struct SearchTests {
    private static let system = "https://fhir.nhs.uk/Id/nhs-number"

    /// Five patients whose names, dates and identifiers tell the searches apart.
    private func load(_ fhir: FHIRClient) async throws {
        let people = [
            patient(
                "a", family: "Müller", given: ["Jörg", "Peter"], birthDate: "1970-03-15",
                gender: "male", identifier: (Self.system, "9990000018")),
            patient(
                "b", family: "MULLER-SMITH", given: ["Ann"], birthDate: "1970-03",
                gender: "female", identifier: ("urn:other", "9990000018")),
            patient(
                "c", family: "O'Neill", given: ["Petra"], birthDate: "1970", gender: "female",
                identifier: (Self.system, "9990000026")),
            patient("d", family: "Smith", given: ["Mu"], birthDate: "1971-01-01"),
            patient("e", family: "Łukasz", given: ["Straße"]),
        ]
        for person in people {
            let id = try #require(person["id"]?.string)
            #expect(try await fhir.put("Patient/\(id)", person).status == 201)
        }
        _ = try await fhir.put(
            "Practitioner/a",
            [
                "resourceType": "Practitioner", "id": "a", "name": [["family": "Muller"]],
                "identifier": [["value": "9990000018"]],
            ])
    }

    @Test(arguments: [
        ("family=muller", ["a", "b"]),
        ("family=M%C3%9CLL", ["a", "b"]),
        ("family=u", []),
        ("family=smith", ["d"]),
        ("family=lukasz", ["e"]),
        ("family=muller&given=jorg", ["a"]),
        ("given=pet", ["a", "c"]),
        ("given=strasse", ["e"]),
        ("given=peter&given=jorg", ["a"]),
        ("family=muller,smith", ["a", "b", "d"]),
        ("family:exact=M%C3%BCller", ["a"]),
        ("family:exact=Muller", []),
        ("family=o'neill", ["c"]),
        ("gender=female", ["b", "c"]),
        ("gender=http://hl7.org/fhir/administrative-gender%7Cmale", ["a"]),
        ("gender=%7Cmale", []),
        ("identifier=9990000018", ["a", "b"]),
        ("identifier=https://fhir.nhs.uk/Id/nhs-number%7C9990000018", ["a"]),
        ("identifier=https://fhir.nhs.uk/Id/nhs-number%7C", ["a", "c"]),
        ("identifier=%7C9990000018", []),
        ("identifier=999000001", []),
        ("_id=a,c,zz", ["a", "c"]),
        ("_id=a,c&gender=female", ["c"]),
        ("birthdate=1970-03-15", ["a"]),
        ("birthdate=1970-03", ["a", "b"]),
        ("birthdate=eq1970", ["a", "b", "c"]),
        ("birthdate=ne1970-03", ["c", "d"]),
        ("birthdate=gt1970-03-15", ["b", "c", "d"]),
        ("birthdate=lt1970-03-15", ["b", "c"]),
        ("birthdate=ge1970-03", ["a", "b", "c", "d"]),
        ("birthdate=le1970-03-15", ["a", "b", "c"]),
        ("birthdate=sa1970", ["d"]),
        ("birthdate=eb1970-04", ["a", "b"]),
        ("birthdate=ge1970-03-01&birthdate=lt1970-04-01", ["a", "b", "c"]),
        ("birthdate=1971-01-01T00:00:00Z", []),
        ("gender=male,female&birthdate=1970-03", ["a", "b"]),
        ("", ["a", "b", "c", "d", "e"]),
        ("_count=3", ["a", "b", "c"]),
        ("unknown=1&family=smith", ["d"]),
    ])
    func findsWhatTheParametersSay(_ query: String, _ expected: [String]) async throws {
        try await withFHIR { fhir in
            try await load(fhir)
            let reply = try await fhir.get("Patient?\(query)")
            #expect(reply.status == 200)
            #expect(reply.body["type"]?.string == "searchset")
            #expect(reply.found.sorted() == expected.map { "Patient/\($0)" }, "\(query)")
            for entry in reply.entries {
                #expect(entry["search"] == ["mode": "match"])
                let id = try #require(entry["resource"]?["id"]?.string)
                #expect(entry["fullUrl"]?.string == "http://localhost/fhir/Patient/\(id)")
            }
        }
    }

    @Test(arguments: [
        ("family:contains=x", "not-supported"),
        ("birthdate=ap1970", "not-supported"),
        ("birthdate=yesterday", "value"),
        ("birthdate=1970-02-30", "value"),
        ("identifier=a%7Cb%7Cc", "value"),
        ("identifier=", "value"),
        ("family=%20", "value"),
        ("gender=male,", "value"),
        ("_count=0", "value"),
        ("_count=many", "value"),
        ("_page=AAAA", "value"),
        ("family=%zz", "value"),
        ("family=%ff", "value"),
    ])
    func refusesWhatItCannotAnswer(_ query: String, _ code: String) async throws {
        try await withFHIR { fhir in
            let reply = try await fhir.get("Patient?\(query)")
            #expect(reply.status == 400, "\(query)")
            #expect(reply.issue.code == code, "\(query)")
        }
    }

    @Test func unknownParameterIsRefusedWhenStrictElseLeftOutOfSelf() async throws {
        try await withFHIR { fhir in
            let strict = try await fhir.get(
                "Patient?name=x", ["Prefer": "handling=strict"])
            #expect(strict.status == 400)
            let lenient = try await fhir.get("Patient?name=x&gender=male")
            #expect(
                lenient.link("self") == "http://localhost/fhir/Patient?gender=male&_count=20")
        }
    }

    @Test func formSearchIsTheSame() async throws {
        try await withFHIR { fhir in
            try await load(fhir)
            let form = ["Content-Type": "application/x-www-form-urlencoded"]
            let reply = try await fhir.send(
                .post, "Patient/_search?gender=female", form,
                bytes: Array("family=o%27neill&_count=5".utf8))
            #expect(reply.found == ["Patient/c"])
            #expect(
                try await fhir.post("Patient/_search", ["resourceType": "Patient"]).status == 415)
        }
    }

    @Test func updateAndDeleteChangeWhatIsFound() async throws {
        try await withFHIR { fhir in
            _ = try await fhir.put("Patient/p", patient("p", family: "Before"))
            _ = try await fhir.put("Patient/p", patient("p", family: "After"))
            #expect(try await fhir.get("Patient?family=before").found.isEmpty)
            #expect(try await fhir.get("Patient?family=after").found == ["Patient/p"])
            _ = try await fhir.delete("Patient/p")
            #expect(try await fhir.get("Patient?family=after").found.isEmpty)
            #expect(try await fhir.get("Patient").found.isEmpty)
        }
    }

    @Test func pagesCoverAllOnce() async throws {
        try await withFHIR { fhir in
            for number in 100..<165 {
                _ = try await fhir.put(
                    "Patient/n\(number)",
                    patient(
                        "n\(number)", family: number % 2 == 0 ? "Even" : "Odd",
                        given: ["Sam", "Samuel", "Samantha"]))
            }
            for query in ["_count=7", "given=sam&_count=7", "family=even,odd&_count=60"] {
                var found: [String] = []
                var next: String? = "Patient?\(query)"
                while let path = next {
                    let page = try await fhir.get(path)
                    #expect(page.status == 200)
                    #expect(page.body["total"] == nil)
                    found += page.found
                    next = page.link("next")
                }
                #expect(found.count == 65, "\(query)")
                #expect(Set(found).count == 65, "\(query)")
            }
            let whole = try await fhir.get("Patient?_count=65")
            #expect(whole.body["total"] == 65)
            #expect(whole.link("next") == nil)
        }
    }

    @Test func tamperedOrForeignPageTokenIsRefused() async throws {
        try await withFHIR { fhir in
            try await load(fhir)
            let page = try await fhir.get("Patient?gender=female&_count=1")
            let link = try #require(page.link("next"))
            #expect(try await fhir.get(link).found == ["Patient/c"])
            let token = try #require(link.split(separator: "_page=").last)
            for (at, character) in token.enumerated() {
                var changed = Array(token)
                changed[at] = character == "A" ? "B" : "A"
                let path = "Patient?gender=female&_count=1&_page=\(String(changed))"
                #expect(try await fhir.get(path).status == 400, "at \(at)")
            }
            let other = try await fhir.get("Patient?gender=male&_page=\(token)")
            #expect(other.status == 400)
        }
    }

    /// A page reads the index rows and records that it shows, and one beyond. `keysRead` counts
    /// both, so two for each.
    @Test func keysReadAreBoundedByTheMatchesNotByTheStore() async throws {
        try await withFHIR { fhir in
            for number in 100..<400 {
                _ = try await fhir.put(
                    "Patient/n\(number)",
                    patient(
                        "n\(number)", family: number < 103 ? "Rare" : "Common",
                        birthDate: number < 103 ? "1950-01-01" : "1980-01-01", gender: "male",
                        identifier: ("urn:s", "v\(number)")))
            }
            let bounds = [
                ("identifier=urn:s%7Cv200", 1, 2), ("identifier=v200", 1, 2), ("_id=n200", 1, 2),
                ("family=rare", 3, 6), ("birthdate=1950", 3, 6),
                ("gender=male&identifier=v200", 1, 2), ("gender=male&family=rare", 3, 6),
                ("gender=male&birthdate=lt1960", 3, 6), ("birthdate=ge1900&family=rare", 3, 6),
                ("_count=10", 10, 22), ("gender=male&_count=10", 10, 22),
                ("family=common&_count=10", 10, 22), ("family=nobody", 0, 0),
            ]
            for (query, count, bound) in bounds {
                _ = fhir.service.takeKeysRead()
                let reply = try await fhir.get("Patient?\(query)")
                #expect(reply.found.count == count, "\(query)")
                let read = fhir.service.takeKeysRead()
                #expect(read <= bound, "\(query) read \(read) keys")
            }
            // A later page costs what the first does.
            let page = try await fhir.get("Patient?gender=male&_count=10")
            _ = fhir.service.takeKeysRead()
            #expect(try await fhir.get(try #require(page.link("next"))).found.count == 10)
            #expect(fhir.service.takeKeysRead() <= 22)
        }
    }

    @Test func pageEndsEarlyAtItsBytes() async throws {
        try await withFHIR { limits in
            limits.pageBytesMax = 1
        } _: { fhir in
            for number in 100..<160 {
                _ = try await fhir.put("Patient/n\(number)", patient("n\(number)"))
            }
            let page = try await fhir.get("Patient?_count=60")
            #expect(page.found.count == 50)
            #expect(try await fhir.get(try #require(page.link("next"))).found.count == 10)
        }
    }

    @Test func everyTypeWithTheParameterIsFoundByIdentifier() async throws {
        try await withFHIR { fhir in
            var searched = 0
            for type in ResourceType.all {
                guard let parameter = SearchParameter.named("identifier", of: type) else {
                    continue
                }
                for (number, path) in parameter.paths.enumerated() {
                    let value = "\(type)-\(number)"
                    var resource = JSONObject([
                        "resourceType": .string(type), "id": .string("i\(number)"),
                    ])
                    #expect(path.count == 1, "\(type)")
                    resource[path[0]] = ["system": "urn:s", "value": .string(value)]
                    let put = try await fhir.put("\(type)/i\(number)", .object(resource))
                    #expect(put.status == 201)
                    let reply = try await fhir.get("\(type)?identifier=urn:s%7C\(value)")
                    #expect(reply.found == ["\(type)/i\(number)"])
                    searched += 1
                }
            }
            #expect(searched == 114)
        }
    }

    @Test func tokenThatCannotBeKeptWholeIsRefused() async throws {
        try await withFHIR { fhir in
            let long = String(repeating: "9", count: SearchTermLayout.tokenBytesMax)
            let reply = try await fhir.put("Patient/p", patient("p", identifier: ("s", long)))
            #expect(reply.status == 422)
            #expect(reply.issue.code == "too-long")
            #expect(try await fhir.get("Patient/p").status == 404)
            let fitting = String(long.dropLast())
            let kept = try await fhir.put("Patient/p", patient("p", identifier: ("s", fitting)))
            #expect(kept.status == 201)
            #expect(try await fhir.get("Patient?identifier=\(fitting)").found == ["Patient/p"])
        }
    }
}
