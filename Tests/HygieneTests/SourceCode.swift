/// Swift source as the rules see it: without comments and without what stands in string literals.
struct SourceCode {
    /// Line by line, comments and literals replaced by blanks.
    let lines: [String]

    init(_ text: String) {
        var code: [Character] = []
        var rest = Array(text)[...]
        func starts(_ token: String) -> Bool { rest.starts(with: token) }
        func skip(_ count: Int) {
            for _ in 0..<min(count, rest.count) {
                let character = rest.removeFirst()
                code.append(character.isNewline ? "\n" : " ")
            }
        }
        while !rest.isEmpty {
            if starts("//") {
                while let next = rest.first, !next.isNewline { skip(1) }
            } else if starts("/*") {
                var depth = 0
                repeat {
                    if starts("/*") {
                        depth += 1
                        skip(2)
                    } else if starts("*/") {
                        depth -= 1
                        skip(2)
                    } else {
                        skip(1)
                    }
                } while depth > 0 && !rest.isEmpty
            } else if starts("\"\"\"") {
                skip(3)
                while !rest.isEmpty, !starts("\"\"\"") { skip(starts("\\") ? 2 : 1) }
                skip(3)
            } else if starts("\"") {
                skip(1)
                while let next = rest.first, next != "\"", !next.isNewline {
                    skip(next == "\\" ? 2 : 1)
                }
                skip(1)
            } else {
                code.append(rest.removeFirst())
            }
        }
        lines = String(code).split(separator: "\n", omittingEmptySubsequences: false).map {
            String($0)
        }
    }

    /// The modules that are imported, with their lines, counted from 1.
    var imports: [(line: Int, module: String)] {
        lines.enumerated().compactMap { number, line in
            let words = line.split(separator: " ")
            guard let position = words.firstIndex(of: "import"),
                words[..<position].allSatisfy({ $0.hasPrefix("@") || Self.access.contains($0) }),
                let name = words.last, words.count > position + 1
            else { return nil }
            return (number + 1, String(name.split(separator: ".")[0]))
        }
    }

    private static let access: Set<Substring> = [
        "public", "package", "internal", "fileprivate", "private",
    ]

    /// Lines, counted from 1, on which a call's arguments do not name what they are drawn from:
    /// `.random(in: 1...6)`, but not `.random(in: 1...6, using: &generator)`.
    func callsWithoutGenerator(_ names: [String]) -> [Int] {
        let text = Array(lines.joined(separator: "\n"))
        var found: [Int] = []
        var line = 1
        for (at, character) in text.enumerated() {
            if character.isNewline { line += 1 }
            guard character == "." else { continue }
            let name = text[(at + 1)...].prefix { $0.isLetter }
            let open = at + 1 + name.count
            guard names.contains(String(name)), open < text.count, text[open] == "(" else {
                continue
            }
            var depth = 0
            var end = open
            while end < text.count {
                if text[end] == "(" { depth += 1 }
                if text[end] == ")" { depth -= 1 }
                if depth == 0 { break }
                end += 1
            }
            if !String(text[open..<end]).contains("using:") { found.append(line) }
        }
        return found
    }
}
