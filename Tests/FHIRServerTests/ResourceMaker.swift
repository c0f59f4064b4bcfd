import FHIRCore
import Primitives

/// Resources of random shape: the forms that JSON has, with numbers and characters at its edges.
struct ResourceMaker {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func resource(_ id: String) -> JSONValue {
        var resource = JSONObject(["resourceType": "Basic", "id": .string(id)])
        for number in 0..<Int.random(in: 1...6, using: &generator) {
            resource["m\(number)"] = value(depth: 0)
        }
        return .object(resource)
    }

    private mutating func value(depth: Int) -> JSONValue {
        switch Int.random(in: 0..<(depth < 5 ? 8 : 5), using: &generator) {
        case 0: return .null
        case 1: return .bool(.random(using: &generator))
        case 2, 3: return .number(number())
        case 4: return .string(text())
        case 5, 6:
            return .array(
                (0..<Int.random(in: 0...4, using: &generator)).map { _ in
                    value(depth: depth + 1)
                })
        default:
            var object = JSONObject()
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                object[text()] = value(depth: depth + 1)
            }
            return .object(object)
        }
    }

    private mutating func number() -> String {
        func digits(_ count: ClosedRange<Int>) -> String {
            (0..<Int.random(in: count, using: &generator)).map { _ in
                String(Int.random(in: 0...9, using: &generator))
            }.joined()
        }
        var text = Bool.random(using: &generator) ? "-" : ""
        text += Bool.random(using: &generator) ? "0" : "7" + digits(0...30)
        if Bool.random(using: &generator) { text += "." + digits(1...20) }
        if Bool.random(using: &generator) {
            text += ["e", "E", "e+", "E-"].randomElement(using: &generator)! + digits(1...3)
        }
        return text
    }

    private mutating func text() -> String {
        let pool: [Unicode.Scalar] = [
            "a", "Z", "\"", "\\", "/", "\n", "\r", "\t", "\0", "\u{1F}", "\u{7F}", "é",
            "e", "\u{301}", "ß", "\u{FFFF}", "\u{10FFFF}", "😀", "\u{2028}", "\u{FEFF}",
        ]
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...12, using: &generator) {
            text.append(pool.randomElement(using: &generator)!)
        }
        return String(text)
    }
}
