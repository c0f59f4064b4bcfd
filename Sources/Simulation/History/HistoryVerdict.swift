import Primitives

/// What a checker says of a history.
package enum HistoryVerdict: Sendable, Equatable, CustomStringConvertible {
    /// There is an order that explains every answer and keeps real time.
    case linearizable
    /// There is none.
    case violation(HistoryViolation)
    /// The search reached its limit of steps. This says nothing about the history.
    case unknown(stepsTaken: Int)

    package var description: String {
        switch self {
        case .linearizable: "linearizable"
        case .violation(let violation): violation.description
        case .unknown(let steps): "unknown: the search was given up after \(steps) steps"
        }
    }
}

/// Why no order explains a history.
package struct HistoryViolation: Sendable, Equatable, CustomStringConvertible {
    /// One sentence.
    package var summary: String
    /// An order of the longest part that can be explained.
    package var prefix: [OperationID]
    /// The operations that found no place behind it. The first is the one whose answer, or whose
    /// time, contradicts the rest.
    package var unplaced: [OperationID]
    /// The summary, the end of the prefix, the state it leads to, and the operations without a
    /// place, line by line.
    package var lines: [String]

    package var description: String { lines.joined(separator: "\n") }
}

/// Bytes as an explanation shows them: text where they are text, else hexadecimal.
func shown(_ bytes: Bytes) -> String {
    if !bytes.isEmpty, bytes.allSatisfy({ 0x20 < $0 && $0 < 0x7F }) {
        return String(decoding: bytes, as: UTF8.self)
    }
    let hex = bytes.map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }
    return "0x" + hex.joined()
}
