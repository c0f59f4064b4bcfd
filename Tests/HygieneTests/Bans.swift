/// Words that must not stand in the code of the pure ring, each with what to use in its place.
struct Ban {
    /// A whole word, or a piece of text that begins and ends with word characters or not.
    var word: String
    var instead: String

    static let pure = [
        Ban(word: "Date", instead: "HybridTimestamp, given as an argument"),
        Ban(word: "UUID", instead: "an identifier given as an argument"),
        Ban(word: "ContinuousClock", instead: "ticks, counted by the caller"),
        Ban(word: "SuspendingClock", instead: "ticks, counted by the caller"),
        Ban(word: "SystemRandomNumberGenerator", instead: "SeededGenerator, given as an argument"),
        Ban(word: "async", instead: "a synchronous function that returns effects"),
        Ban(word: "await", instead: "a synchronous function that returns effects"),
        Ban(word: "Task", instead: "an effect that the shell performs"),
        Ban(word: "Thread", instead: "an effect that the shell performs"),
        Ban(word: "print", instead: "an effect or a typed error"),
        Ban(word: "hashValue", instead: "an order of its own: hashes differ from run to run"),
        Ban(word: "unchecked", instead: "Mutex or Atomic, where the type says that it is shared"),
        Ban(word: "fatalError", instead: "precondition with the numbers, or a typed error"),
        Ban(word: "try!", instead: "typed throws"),
    ]

    /// Calls that must name their generator.
    static let chance = ["random", "randomElement", "shuffled", "shuffle"]
    static let chanceInstead = "the same call with using: and a generator given as an argument"

    /// Whether the word stands in a line, whole.
    func stands(in line: String) -> Bool {
        func isWord(_ character: Character?) -> Bool {
            guard let character else { return false }
            return character.isLetter || character.isNumber || character == "_"
        }
        var rest = line[...]
        while let range = rest.firstRange(of: word) {
            let before =
                range.lowerBound == line.startIndex
                ? nil : line[line.index(before: range.lowerBound)]
            let after = range.upperBound == line.endIndex ? nil : line[range.upperBound]
            if !(isWord(word.first) && isWord(before)), !(isWord(word.last) && isWord(after)) {
                return true
            }
            rest = rest[range.upperBound...]
        }
        return false
    }

    /// Marks of unfinished work. Put together here, so that this file does not hold them.
    static let leftovers = ["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK", "WI" + "P"].map {
        Ban(word: $0, instead: "an issue, or the work itself")
    }
}

/// One offence, as a test reports it.
struct Finding: CustomStringConvertible {
    var path: String
    var line: Int
    var what: String
    var description: String { "\(path):\(line): \(what)" }
}

/// The rules over one file's text.
enum Rules {
    static func imports(of path: String, in target: String, _ text: String) -> [Finding] {
        SourceCode(text).imports.compactMap { line, module in
            Rings.objection(to: target, importing: module).map {
                Finding(path: path, line: line, what: "import \(module): \($0)")
            }
        }
    }

    static func purity(of path: String, _ text: String) -> [Finding] {
        let code = SourceCode(text)
        var findings: [Finding] = []
        for (number, line) in code.lines.enumerated() {
            for ban in Ban.pure where ban.stands(in: line) {
                findings.append(
                    Finding(path: path, line: number + 1, what: "\(ban.word): use \(ban.instead)"))
            }
        }
        for line in code.callsWithoutGenerator(Ban.chance) {
            findings.append(
                Finding(path: path, line: line, what: "chance: use \(Ban.chanceInstead)"))
        }
        return findings
    }

    static func leftovers(of path: String, _ text: String) -> [Finding] {
        lines(text).flatMap { number, line in
            Ban.leftovers.filter { $0.stands(in: line) }.map {
                Finding(path: path, line: number, what: "\($0.word): use \($0.instead)")
            }
        }
    }

    /// - Parameter places: beginnings of paths that exist on somebody's machine only.
    static func absolutePaths(of path: String, _ text: String, places: [String]) -> [Finding] {
        lines(text).flatMap { number, line in
            places.filter { line.contains($0) }.map {
                Finding(
                    path: path, line: number,
                    what: "\($0): use a path relative to the repository, or an argument")
            }
        }
    }

    private static func lines(_ text: String) -> [(Int, String)] {
        text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated().map {
            ($0.offset + 1, String($0.element))
        }
    }
}
