import FHIRCore
import Testing

@Suite struct SearchTermTests {
    private func fold(_ text: String) -> String {
        String(decoding: StringFolding.fold(text), as: UTF8.self)
    }

    @Test(arguments: [
        ("Müller", "muller"), ("MU\u{308}LLER", "muller"), ("Łódź", "lodz"), ("Øre", "ore"),
        ("Straße", "strasse"), ("STRASSE", "strasse"), ("Æsir", "aesir"), ("Đặng", "dang"),
        ("Ángel  \t Nuñez ", "angel nunez"), ("İstanbul", "istanbul"), ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
        ("σίσυφος", "σισυφοσ"), ("Ёлка", "елка"), ("ЙОД", "иод"),
        ("O'Neill-Smith", "o'neill-smith"),
        ("\u{A0}a\u{3000}b", "a b"), ("名前", "名前"), ("हिन्दी", "हिन्दी"), ("한국", "한국"), ("", ""),
        ("\u{301}", ""), ("Ｆｕｌｌ", "ｆｕｌｌ"), ("🤱", "🤱"),
    ])
    func caseAndAccentsAreTakenAway(_ text: String, _ folded: String) {
        #expect(fold(text) == folded)
        #expect(fold(fold(text)) == folded)
    }

    @Test func typesAndIDs() {
        #expect(ResourceType.all.count == 146)
        #expect(ResourceType.all == ResourceType.all.sorted())
        #expect(ResourceType.exists("Patient") && ResourceType.exists("VisionPrescription"))
        for wrong in ["patient", "Resource", "DomainResource", "", "Element", "Subscription2"] {
            #expect(!ResourceType.exists(wrong))
        }
        for valid in ["a", "A-1.b", "-", String(repeating: "x", count: 64)] {
            #expect(ResourceID.isValid(valid))
        }
        for invalid in ["", "a_b", "é", "a b", "a/b", String(repeating: "x", count: 65)] {
            #expect(!ResourceID.isValid(invalid))
        }
    }

    @Test func parametersAreThoseOfR4() {
        func paths(_ type: String, _ code: String) -> [[String]]? {
            SearchParameter.named(code, of: type)?.paths
        }
        #expect(paths("Patient", "family") == [["name", "family"]])
        #expect(paths("DocumentManifest", "identifier") == [["masterIdentifier"], ["identifier"]])
        #expect(paths("Bundle", "identifier") == [["identifier"]])
        #expect(paths("Binary", "identifier") == nil)
        #expect(paths("Patient", "name") == nil)
        let gender = SearchParameter.named("gender", of: "Patient")
        #expect(gender?.kind == .code(system: "http://hl7.org/fhir/administrative-gender"))
        let withIdentifier = ResourceType.all.filter {
            SearchParameter.named("identifier", of: $0) != nil
        }
        #expect(withIdentifier.count == 112)
    }

    @Test func resourceHasTheTermsOfItsElements() throws {
        let resource: JSONValue = [
            "resourceType": "Patient",
            "identifier": [
                ["system": "urn:s", "value": "1"], ["value": "2"], ["system": "urn:t"], [:], 7,
            ],
            "name": [["family": "Ü", "given": ["A", "b"]], ["family": 5]],
            "birthDate": "1970", "gender": "male",
        ]
        let terms = try SearchTerms.terms(of: resource, type: "Patient", id: "p")
        let names = terms.map { String(decoding: $0.name, as: UTF8.self) }
        func values(_ name: String) -> [[UInt8]] {
            terms.filter { $0.name == Array(name.utf8) }.map(\.value)
        }
        #expect(Set(names).count == 11)
        #expect(values("Patient._id") == [Array("p".utf8)])
        #expect(values("Patient.identifier") == [Array("1".utf8), Array("2".utf8)])
        #expect(
            values("Patient.identifier|")
                == ["urn:s\u{0}1", "\u{0}2", "urn:t\u{0}"].map { Array($0.utf8) })
        #expect(values("Patient.family") == [Array("u".utf8)])
        #expect(values("Patient.family:exact") == [Array("Ü".utf8)])
        #expect(values("Patient.given") == [Array("a".utf8), Array("b".utf8)])
        #expect(values("Patient.gender") == [Array("male".utf8)])
        #expect(
            values("Patient.gender|")
                == [Array("http://hl7.org/fhir/administrative-gender\u{0}male".utf8)])
        let start: [UInt8] = [0x80, 0, 0, 0, 0, 0, 0, 0]
        let end: [UInt8] = [0x80, 0, 0x1C, 0xAE, 0x8C, 0x13, 0xE0, 0]
        #expect(values("Patient.birthdate") == [start + end])
        #expect(values("Patient.birthdate:end") == [end])
    }

    @Test func elementsOfAnotherFormHaveNoTerms() throws {
        let resource: JSONValue = [
            "identifier": "x", "name": "y", "birthDate": "soon", "gender": ["male", 3],
        ]
        let terms = try SearchTerms.terms(of: resource, type: "Patient", id: "p")
        #expect(
            terms.map { String(decoding: $0.name, as: UTF8.self) }.sorted() == [
                "Patient._id", "Patient.gender", "Patient.gender|",
            ])
    }

    @Test func tokensThatCannotBeKeptAreRefused() {
        let long: JSONValue = [
            "identifier": [["value": .string(String(repeating: "x", count: 1_025))]]
        ]
        #expect(throws: SearchTermError.tokenTooLong(code: "identifier", bytes: 1_025)) {
            try SearchTerms.terms(of: long, type: "Patient", id: "p")
        }
        let nul: JSONValue = ["identifier": [["value": "a\u{0}b"]]]
        #expect(throws: SearchTermError.nulInToken(code: "identifier")) {
            try SearchTerms.terms(of: nul, type: "Patient", id: "p")
        }
    }

    @Test func escapesInSearchValues() throws {
        func alternatives(_ value: String) throws -> [SearchTermMatch.Values] {
            try SearchClause.parse(type: "Patient", name: "identifier", value: value)
                .alternatives.map(\.values)
        }
        func exact(_ text: String) -> SearchTermMatch.Values { .exact(Array(text.utf8)) }
        #expect(try alternatives(#"a\,b,c"#) == [exact("a,b"), exact("c")])
        #expect(try alternatives(#"s\|t|v"#) == [exact("s|t\u{0}v")])
        #expect(try alternatives(#"a\\,b"#) == [exact(#"a\"#), exact("b")])
        #expect(try alternatives(#"a\$b\x"#) == [exact(#"a$b\x"#)])
    }

    /// Every comparison of every pair of intervals, against the definitions in FHIR R4 "Search".
    @Test func datePrefixesMeanWhatTheSpecificationSays() throws {
        let dates = [
            "1969", "1969-12", "1969-12-31", "1970", "1970-01", "1970-01-01", "1970-01-02",
            "1970-02", "1970-12-31", "1971", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z",
            "1970-01-01T12:00:00.5Z", "1970-12-31T23:59:59Z", "1971-01-01T00:00:00Z",
        ]
        for element in dates {
            let target = try #require(DateInterval(element))
            let resource: JSONValue = ["birthDate": .string(element)]
            let terms = try SearchTerms.terms(of: resource, type: "Patient", id: "p")
            for searched in dates {
                let search = try #require(DateInterval(searched, form: .search))
                let within = search.lower <= target.lower && target.upper <= search.upper
                let above = target.upper > search.upper
                let below = target.lower < search.lower
                let expected = [
                    "": within, "eq": within, "ne": !within, "gt": above, "lt": below,
                    "ge": above || within, "le": below || within,
                    "sa": target.lower >= search.upper, "eb": target.upper <= search.lower,
                ]
                for (prefix, isMatch) in expected {
                    let clause = try SearchClause.parse(
                        type: "Patient", name: "birthdate", value: prefix + searched)
                    let isFound = clause.alternatives.contains { match in
                        terms.contains { Self.matches($0, match) }
                    }
                    #expect(isFound == isMatch, "\(prefix)\(searched) of \(element)")
                }
            }
        }
    }

    private static func matches(_ term: SearchTerm, _ match: SearchTermMatch) -> Bool {
        guard term.name == match.name else { return false }
        switch match.values {
        case .exact(let value): return term.value == value
        case .prefix(let prefix): return term.value.starts(with: prefix)
        case .range(let from, let to):
            if let from, term.value.lexicographicallyPrecedes(from) { return false }
            if let to, !term.value.lexicographicallyPrecedes(to) { return false }
            return true
        }
    }

    @Test func tooManyValuesAreRefused() {
        let values = (0...SearchClause.valuesMax).map { "v\($0)" }.joined(separator: ",")
        #expect(throws: SearchParameterError.tooManyValues(parameter: "_id", limit: 100)) {
            try SearchClause.parse(type: "Patient", name: "_id", value: values)
        }
    }
}
