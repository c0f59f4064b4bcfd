/// Rewrites the references inside the resources of a transaction to the identities that the server
/// gave (FHIR R4 "RESTful API", "Transaction Processing Rules"): `Reference.reference`; for
/// `urn:uuid:` and `urn:oid:` also elements of type uri, url, oid and uuid that equal the urn, and
/// `<a href>` and `<img src>` of narratives.
///
/// Elements of type uri are known by their names (`URIElementTable`), so that a string such as
/// `Identifier.value` that holds the same urn stays what it was. An http fullUrl changes
/// references only: an element such as `StructureDefinition.url` that equals it is a name.
package struct ReferenceResolver: Sendable {
    /// fullUrl to `Type/id`.
    private var identities: [String: String] = [:]
    /// Conditional reference (`Patient?identifier=…`) to `Type/id`.
    private var conditional: [String: String] = [:]

    package init() {}

    package var isEmpty: Bool { identities.isEmpty && conditional.isEmpty }

    package mutating func add(fullURL: String, identity: String) {
        identities[fullURL] = identity
    }

    package mutating func add(conditionalReference: String, identity: String) {
        conditional[conditionalReference] = identity
    }

    /// - Parameter fullURL: of the entry that holds the resource: relative references are taken
    ///   against its base (FHIR R4 "Bundle", "Resolving references in Bundles").
    package func resolve(_ resource: inout JSONValue, fullURL: String?) {
        if isEmpty { return }
        let base = fullURL.flatMap { Self.base(of: $0) }
        rewrite(&resource, name: "", base: base)
    }

    private func rewrite(_ value: inout JSONValue, name: String, base: String?) {
        switch value {
        case .object(var object):
            value = .null
            object.mapValues { name, member in
                var member = member
                rewrite(&member, name: name, base: base)
                return member
            }
            value = .object(object)
        case .array(var values):
            value = .null
            for at in values.indices { rewrite(&values[at], name: name, base: base) }
            value = .array(values)
        case .string(let text):
            if let replacement = replacement(of: text, name: name, base: base) {
                value = .string(replacement)
            }
        case .number, .bool, .null: break
        }
    }

    private func replacement(of text: String, name: String, base: String?) -> String? {
        if name == "reference" { return resolved(reference: text, base: base) }
        if name == "div" {
            return NarrativeLinks.rewrite(text) { link in
                Self.isURN(link) ? identities[link] : nil
            }
        }
        if Self.isURN(text), Self.uriElements.contains(name) { return identities[text] }
        return nil
    }

    private func resolved(reference: String, base: String?) -> String? {
        if let identity = identities[reference] { return identity }
        if reference.utf8.contains(UInt8(ascii: "?")) { return conditional[reference] }
        if let base, Self.isRelative(reference) { return identities[base + reference] }
        return nil
    }

    /// `Patient?identifier=a|b` references in a resource, each once, in order.
    package static func conditionalReferences(in resource: JSONValue) -> [String] {
        var found: [String] = []
        collect(resource, name: "", &found)
        return found
    }

    private static func collect(_ value: JSONValue, name: String, _ found: inout [String]) {
        switch value {
        case .object(let object):
            for member in object.members { collect(member.value, name: member.name, &found) }
        case .array(let values):
            for value in values { collect(value, name: name, &found) }
        case .string(let text) where name == "reference":
            guard let mark = text.firstIndex(of: "?"), ResourceType.exists(text[..<mark]),
                !found.contains(text)
            else { return }
            found.append(text)
        case .string, .number, .bool, .null: break
        }
    }

    /// `http://server/base/` of `http://server/base/Type/id`.
    static func base(of fullURL: String) -> String? {
        guard fullURL.hasPrefix("http://") || fullURL.hasPrefix("https://") else { return nil }
        let parts = fullURL.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count >= 5, ResourceType.exists(parts[parts.count - 2]) else { return nil }
        return parts.dropLast(2).joined(separator: "/") + "/"
    }

    private static func isURN(_ text: String) -> Bool {
        text.utf8.starts(with: "urn:uuid:".utf8) || text.utf8.starts(with: "urn:oid:".utf8)
    }

    private static func isRelative(_ reference: String) -> Bool {
        guard let slash = reference.firstIndex(of: "/") else { return false }
        return ResourceType.exists(reference[..<slash])
    }

    private static let uriElements = Set(
        URIElementTable.text.split(whereSeparator: \.isWhitespace).map(String.init))
}
