import Primitives

/// Records whose values compress like FHIR JSON: fixed names, drawn contents.
struct Workload {
    private var generator: SeededGenerator
    private let valueBytes: Int

    init(seed: UInt64, valueBytes: Int) {
        generator = SeededGenerator(seed: seed)
        self.valueBytes = valueBytes
    }

    static func key(_ number: Int) -> Bytes {
        let digits = String(1_000_000_000 + number)
        return Bytes("Patient/\(digits)".utf8)
    }

    mutating func value() -> Bytes {
        var text =
            "{\"resourceType\":\"Patient\",\"id\":\"\(hex(16))\",\"meta\":{\"versionId\":\"1\"}"
        var field = 0
        while text.utf8.count < valueBytes {
            field += 1
            text +=
                ",\"extension\":[{\"url\":\"https://fhir.nhs.uk/StructureDefinition/field-\(field % 9)\","
                + "\"valueString\":\"\(hex(24))\"},{\"system\":\"https://fhir.nhs.uk/Id/nhs-number\","
                + "\"value\":\"\(number(10))\",\"period\":{\"start\":\"19\(number(2))-0\(number(1))\"}}]"
        }
        return Bytes(text.utf8.prefix(valueBytes))
    }

    mutating func shuffled(_ count: Int) -> [Int] { (0..<count).shuffled(using: &generator) }
    mutating func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }

    private mutating func hex(_ count: Int) -> String {
        let digits = Array("0123456789abcdef")
        return String((0..<count).map { _ in digits[pick(16)] })
    }

    private mutating func number(_ count: Int) -> String {
        String((0..<count).map { _ in Character(String(pick(10))) })
    }
}
