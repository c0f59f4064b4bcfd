import SpineClient

/// The text form of a transaction, in the words of etcdctl's interactive mode.
struct TransactionScript {
    struct Failure: Error, CustomStringConvertible {
        var line: Int
        var reason: String
        var description: String { "line \(line): \(reason)" }
    }

    let transaction: Transaction

    init(_ text: String) throws(Failure) {
        var transaction = Transaction()
        var block = 0
        for (index, raw) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let line = raw.drop { $0 == " " || $0 == "\t" }
            let number = index + 1
            if line.isEmpty {
                block += 1
                continue
            }
            switch block {
            case 0: transaction.conditions.append(try Self.condition(line, number))
            case 1: transaction.success.append(try Self.operation(line, number))
            case 2: transaction.failure.append(try Self.operation(line, number))
            default:
                throw Failure(
                    line: number,
                    reason: "a transaction has three blocks: conditions, operations if they hold, "
                        + "operations otherwise")
            }
        }
        self.transaction = transaction
    }

    private static func condition(
        _ line: Substring, _ number: Int
    ) throws(Failure) -> Transaction.Condition {
        let usage = Failure(
            line: number, reason: "a condition is like mod(\"key\") > \"0\": \(line)")
        guard let open = line.firstIndex(of: "(") else { throw usage }
        var rest = line[line.index(after: open)...]
        let key = try word(&rest, number, endingAt: [")"])
        guard rest.first == ")" else { throw usage }
        rest = rest.dropFirst().drop { $0 == " " }
        let relation: Transaction.Relation
        if rest.hasPrefix("!=") {
            relation = .notEqual
            rest = rest.dropFirst(2)
        } else {
            switch rest.first {
            case "=": relation = .equal
            case ">": relation = .greater
            case "<": relation = .less
            default: throw usage
            }
            rest = rest.dropFirst()
        }
        rest = rest.drop { $0 == " " }
        let operand = try word(&rest, number, endingAt: [])
        guard rest.allSatisfy({ $0 == " " }) else { throw usage }

        func integer() throws(Failure) -> Int64 {
            guard let value = Int64(String(decoding: operand, as: UTF8.self)) else {
                throw Failure(line: number, reason: "the right side must be a number: \(line)")
            }
            return value
        }
        switch line[..<open] {
        case "mod", "m": return .modRevision(of: key, relation, try integer())
        case "create", "c": return .createRevision(of: key, relation, try integer())
        case "version", "ver": return .version(of: key, relation, try integer())
        case "lease": return .lease(of: key, relation, try integer())
        case "value", "val": return .value(of: key, relation, operand)
        default: throw usage
        }
    }

    private static func operation(
        _ line: Substring, _ number: Int
    ) throws(Failure) -> Transaction.Operation {
        var rest = line
        var words: [[UInt8]] = []
        while true {
            rest = rest.drop { $0 == " " }
            if rest.isEmpty { break }
            words.append(try word(&rest, number, endingAt: []))
        }
        let verb = String(decoding: words[0], as: UTF8.self)
        switch (verb, words.count) {
        case ("put", 3): return .put(key: words[1], value: words[2])
        case ("get", 2): return .get(.key(words[1]))
        case ("get", 3): return .get(.range(words[1], upTo: words[2]))
        case ("del", 2): return .delete(.key(words[1]))
        case ("del", 3): return .delete(.range(words[1], upTo: words[2]))
        default:
            throw Failure(
                line: number,
                reason: "an operation is put KEY VALUE, get KEY [END] or del KEY [END]: \(line)")
        }
    }

    /// A word, or a text in double quotes with `\"`, `\\`, `\n` and `\t`.
    private static func word(
        _ rest: inout Substring, _ number: Int, endingAt ends: Set<Character>
    ) throws(Failure) -> [UInt8] {
        guard rest.first == "\"" else {
            let plain = rest.prefix { $0 != " " && !ends.contains($0) }
            rest = rest[plain.endIndex...]
            return Array(plain.utf8)
        }
        rest = rest.dropFirst()
        var text = ""
        while let character = rest.first {
            rest = rest.dropFirst()
            switch character {
            case "\"": return Array(text.utf8)
            case "\\":
                guard let escaped = rest.first,
                    let meant = ["\"": "\"", "\\": "\\", "n": "\n", "t": "\t"][String(escaped)]
                else { throw Failure(line: number, reason: "unknown escape in \(text)") }
                text += meant
                rest = rest.dropFirst()
            default: text.append(character)
            }
        }
        throw Failure(line: number, reason: "a quoted text does not end")
    }
}
