import FHIRCore
import Testing

@Suite struct ReferenceResolverTests {
    private let urn = "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"

    private func resolver() -> ReferenceResolver {
        var resolver = ReferenceResolver()
        resolver.add(fullURL: urn, identity: "Patient/1")
        resolver.add(fullURL: "urn:oid:1.2.3", identity: "Group/2")
        resolver.add(fullURL: "http://a/fhir/Patient/9", identity: "Patient/3")
        resolver.add(conditionalReference: "Patient?identifier=x", identity: "Patient/4")
        return resolver
    }

    private func resolve(_ value: JSONValue, fullURL: String? = nil) -> JSONValue {
        var value = value
        resolver().resolve(&value, fullURL: fullURL)
        return value
    }

    @Test func referencesOfEveryFormAreResolved() {
        let sent: JSONValue = [
            "a": ["reference": .string(urn)],
            "b": [["reference": "urn:oid:1.2.3"], ["reference": "http://a/fhir/Patient/9"]],
            "c": ["reference": "Patient?identifier=x"], "d": ["reference": "Patient/9"],
            "e": ["reference": "urn:uuid:other"], "f": ["reference": "#x"],
        ]
        let expected: JSONValue = [
            "a": ["reference": "Patient/1"],
            "b": [["reference": "Group/2"], ["reference": "Patient/3"]],
            "c": ["reference": "Patient/4"], "d": ["reference": "Patient/9"],
            "e": ["reference": "urn:uuid:other"], "f": ["reference": "#x"],
        ]
        #expect(resolve(sent) == expected)
        let inBase = resolve(sent, fullURL: "http://a/fhir/Observation/1")
        #expect(inBase["d"]?["reference"] == "Patient/3")
        let inOtherBase = resolve(sent, fullURL: "http://b/fhir/Observation/1")
        #expect(inOtherBase["d"]?["reference"] == "Patient/9")
    }

    @Test func urisAreResolvedAndOtherStringsAreNot() {
        let sent: JSONValue = [
            "url": .string(urn), "valueUri": .string(urn), "instantiatesUri": [.string(urn)],
            "value": .string(urn), "display": .string(urn), "note": .string("see \(urn)"),
            "system": "http://a/fhir/Patient/9",
        ]
        let expected: JSONValue = [
            "url": "Patient/1", "valueUri": "Patient/1", "instantiatesUri": ["Patient/1"],
            "value": .string(urn), "display": .string(urn), "note": .string("see \(urn)"),
            "system": "http://a/fhir/Patient/9",
        ]
        #expect(resolve(sent) == expected)
    }

    @Test(arguments: [
        ("<div><a href=\"U\">t</a></div>", "<div><a href=\"Patient/1\">t</a></div>"),
        (
            "<div><a class='x'\n href = 'U' >t</a></div>",
            "<div><a class='x'\n href = 'Patient/1' >t</a></div>"
        ),
        ("<img alt=\"U\" src=\"U\"/>", "<img alt=\"U\" src=\"Patient/1\"/>"),
        ("<a href=\"U\"/><a href='U'/>", "<a href=\"Patient/1\"/><a href='Patient/1'/>"),
        ("<a title='>' href=\"U\"/>", "<a title='>' href=\"Patient/1\"/>"),
        ("<a href=\"U#x\"/>", nil), ("<b href=\"U\"/>", nil), ("<a src=\"U\"/>", nil),
        ("<area href=\"U\"/>", nil), ("href=\"U\"", nil), ("<!-- <a href=\"U\"/> -->", nil),
        ("<a href=\"U", nil), ("<a href", nil), ("<a", nil), ("<", nil), ("<a href=U>", nil),
        ("<a xhref=\"U\"/>", nil), ("<p title=\"<a href='U'/>\"/>", nil),
    ])
    func linksOfNarratives(_ template: String, _ expected: String?) {
        let sent = template.split(separator: "U", omittingEmptySubsequences: false)
            .joined(separator: urn)
        let wanted = (expected ?? template).split(separator: "U", omittingEmptySubsequences: false)
            .joined(separator: urn)
        #expect(resolve(["div": .string(sent)])["div"]?.string == wanted)
    }

    @Test func conditionalReferencesAreFoundOnce() {
        let resource: JSONValue = [
            "a": ["reference": "Patient?identifier=x"], "b": [["reference": "Group?_id=1"]],
            "c": ["reference": "Patient?identifier=x"], "d": ["reference": "http://x/?q"],
            "e": "Patient?identifier=y", "f": ["reference": "Nothing?x=1"],
        ]
        #expect(
            ReferenceResolver.conditionalReferences(in: resource) == [
                "Patient?identifier=x", "Group?_id=1",
            ])
    }
}
