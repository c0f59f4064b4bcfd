/// A JSON value kept without loss: numbers are the text that was written (FHIR R4 "JSON", decimals
/// keep their precision), objects keep the order of their members, strings are exact.
package enum JSONValue: Sendable {
    case object(JSONObject)
    case array([JSONValue])
    case string(String)
    /// The number's lexeme, as in RFC 8259 section 6: `1.50`, `-0`, `1E+400`.
    case number(String)
    case bool(Bool)
    case null
}

extension JSONValue {
    package var object: JSONObject? {
        if case .object(let object) = self { return object }
        return nil
    }

    package var array: [JSONValue]? {
        if case .array(let array) = self { return array }
        return nil
    }

    package var string: String? {
        if case .string(let string) = self { return string }
        return nil
    }

    /// The member of an object; nil for what is no object.
    package subscript(name: String) -> JSONValue? { object?[name] }
}

/// Members in their written order. No two have the same name.
package struct JSONObject: Sendable {
    package struct Member: Sendable {
        package var name: String
        package var value: JSONValue
        package init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    package private(set) var members: [Member]

    /// Names that occur twice are a bug of the caller: parsers refuse them first.
    package init(_ members: [Member] = []) { self.members = members }

    package init(_ members: KeyValuePairs<String, JSONValue>) {
        self.members = members.map { Member($0.key, $0.value) }
    }

    /// Setting a value keeps the member's place, or appends; setting nil removes.
    package subscript(name: String) -> JSONValue? {
        get { index(of: name).map { members[$0].value } }
        set {
            switch (index(of: name), newValue) {
            case (let at?, let value?): members[at].value = value
            case (let at?, nil): members.remove(at: at)
            case (nil, let value?): members.append(Member(name, value))
            case (nil, nil): break
            }
        }
    }

    /// Replaces the member where it is, or puts it directly after another one, or first.
    package mutating func set(_ name: String, to value: JSONValue, after earlier: String?) {
        if let at = index(of: name) {
            members[at].value = value
        } else {
            let at = earlier.flatMap { index(of: $0) }.map { $0 + 1 } ?? 0
            members.insert(Member(name, value), at: at)
        }
    }

    package func index(of name: String) -> Int? {
        members.firstIndex { sameScalars($0.name, name) }
    }

    /// Gives every value to the closure, in order, and keeps what it returns.
    package mutating func mapValues(_ transform: (String, JSONValue) -> JSONValue) {
        for at in members.indices {
            members[at].value = transform(members[at].name, members[at].value)
        }
    }
}

/// Equality of what would be written: Swift's own string equality is canonical equivalence, which
/// takes a composed and a decomposed accent for the same.
package func sameScalars(_ a: String, _ b: String) -> Bool {
    a == b && a.utf8.elementsEqual(b.utf8)
}

extension JSONValue: Equatable {
    package static func == (a: JSONValue, b: JSONValue) -> Bool {
        switch (a, b) {
        case (.object(let a), .object(let b)): return a == b
        case (.array(let a), .array(let b)): return a == b
        case (.string(let a), .string(let b)): return sameScalars(a, b)
        case (.number(let a), .number(let b)): return sameScalars(a, b)
        case (.bool(let a), .bool(let b)): return a == b
        case (.null, .null): return true
        default: return false
        }
    }
}

/// The same members in the same order.
extension JSONObject: Equatable {
    package static func == (a: JSONObject, b: JSONObject) -> Bool {
        a.members.count == b.members.count
            && zip(a.members, b.members).allSatisfy {
                sameScalars($0.name, $1.name) && $0.value == $1.value
            }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(integerLiteral value: Int) { self = .number(String(value)) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(JSONObject(elements.map { JSONObject.Member($0.0, $0.1) }))
    }
}
