import Primitives

/// The fields of one JSON object, each to be taken once; what is left over is unknown to the
/// format and an error.
struct ManifestFields {
    /// Where in the manifest, for messages.
    var place: String
    private var fields: [JSONText.Field]

    init(_ value: JSONText, _ place: String) throws(ManifestProblem) {
        guard case .object(let fields) = value else {
            throw .malformed("\(place) is not an object")
        }
        self.fields = fields
        self.place = place
    }

    /// Whatever other fields the manifest has.
    static func formatAndVersion(_ text: JSONText) throws(ManifestProblem) -> (String, UInt64) {
        var fields = try ManifestFields(text, "manifest")
        return (try fields.string("format"), try fields.integer("formatVersion"))
    }

    mutating func value(_ name: String) throws(ManifestProblem) -> JSONText {
        guard let found = fields.firstIndex(where: { $0.name == name }) else {
            throw .malformed("\(place): \(name) is missing")
        }
        return fields.remove(at: found).value
    }

    mutating func string(_ name: String) throws(ManifestProblem) -> String {
        guard case .string(let value) = try value(name) else {
            throw .malformed("\(place): \(name) is not a string")
        }
        return value
    }

    mutating func array(_ name: String) throws(ManifestProblem) -> [JSONText] {
        guard case .array(let value) = try value(name) else {
            throw .malformed("\(place): \(name) is not an array")
        }
        return value
    }

    mutating func integer(
        _ name: String, min: UInt64 = 0, max: UInt64 = .max
    ) throws(ManifestProblem) -> UInt64 {
        guard case .integer(let value) = try value(name) else {
            throw .malformed("\(place): \(name) is not an integer")
        }
        guard value >= min, value <= max else {
            throw .malformed("\(place): \(name) is \(value), not within \(min) to \(max)")
        }
        return value
    }

    mutating func hex(_ name: String) throws(ManifestProblem) -> Bytes {
        guard let bytes = Hex.decode(try string(name)) else {
            throw .malformed("\(place): \(name) is not lower-case hexadecimal")
        }
        return bytes
    }

    /// A 64-bit number as `String(_:radix: 16)` writes it.
    mutating func hexInteger(_ name: String) throws(ManifestProblem) -> UInt64 {
        let text = try string(name)
        guard let value = UInt64(text, radix: 16), String(value, radix: 16) == text else {
            throw .malformed("\(place): \(name) is not a hexadecimal number")
        }
        return value
    }

    /// A field whose other values belong to later versions.
    mutating func null(_ name: String) throws(ManifestProblem) {
        guard case .null = try value(name) else {
            throw .malformed("\(place): \(name) is not null, as it must be in this version")
        }
    }

    /// To be called after the last field.
    func end() throws(ManifestProblem) {
        if let unknown = fields.first {
            throw .malformed("\(place): \(unknown.name) is not a field of this version")
        }
    }
}
