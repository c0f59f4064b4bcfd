/// The run as a digest over every event, and, when asked for, as its last lines of text.
struct Trace {
    private(set) var digest: UInt64 = 0x9E37_79B9_7F4A_7C15
    private var lines: [String] = []
    private var first = 0
    private let linesMax: Int

    init(linesMax: Int) { self.linesMax = linesMax }

    var keepsText: Bool { linesMax > 0 }

    mutating func mix(_ word: UInt64) {
        digest = (digest ^ word) &* 0xBF58_476D_1CE4_E5B9
        digest ^= digest >> 29
    }

    mutating func mix(_ a: Int, _ b: Int = 0, _ c: Int = 0) {
        mix(
            UInt64(bitPattern: Int64(a)) &+ UInt64(bitPattern: Int64(b)) << 20
                &+ UInt64(bitPattern: Int64(c)) << 40)
    }

    /// The text is made only when it is kept.
    mutating func note(_ time: UInt64, _ text: @autoclosure () -> String) {
        guard linesMax > 0 else { return }
        let line = "\(time) \(text())"
        if lines.count < linesMax {
            lines.append(line)
        } else {
            lines[first] = line
            first = (first + 1) % linesMax
        }
    }

    var text: [String] { Array(lines[first...] + lines[..<first]) }
}
