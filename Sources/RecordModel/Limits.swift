/// What one read may gather in memory. A read that asks for more is refused whole: part of an
/// answer would look like all of it.
package struct AnswerLimits: Hashable, Sendable {
    /// Bytes of records, as `Record.answerBytes` counts them, that one read or read-only
    /// transaction may hold. At the limit: `CommandRefusal.answerTooLarge`. A sorted read with a
    /// limit holds about twice its limit of records at a time, however many it looks at.
    package var bytesMax: Int

    package init(bytesMax: Int) { self.bytesMax = bytesMax }

    /// Of reads that one node answers by itself. Any number will do, and nodes may differ.
    package static let read = AnswerLimits(bytesMax: 256 << 20)
}

/// What one log entry may make every replica do at once. Part of what entries mean: other numbers
/// are another semantics level, because replicas must refuse alike.
package struct CommandLimits: Hashable, Sendable {
    /// Of previous records and ranges in the answer to a command.
    package var answers: AnswerLimits

    /// Bytes that the rows of a command's changes take, as `ShardWriter` counts them. A put alone
    /// stays far below it: it bounds deletions of ranges. At the limit:
    /// `CommandRefusal.changeTooLarge`, and nothing is changed.
    package var changeBytesMax: Int

    package init(answers: AnswerLimits, changeBytesMax: Int) {
        self.answers = answers
        self.changeBytesMax = changeBytesMax
    }

    /// At `SemanticsLevel.first`.
    package static let first = CommandLimits(
        answers: AnswerLimits(bytesMax: 64 << 20), changeBytesMax: 128 << 20)
}

extension Record {
    /// Memory of a record beside its bytes: the value itself and the headers of its arrays.
    package static let overheadBytes = 192
    /// The same of one term.
    package static let termOverheadBytes = 80

    /// What the record counts for in an answer.
    package var answerBytes: Int {
        terms.reduce(Self.overheadBytes + key.count + value.count) {
            $0 + Self.termOverheadBytes + $1.name.count + $1.value.count
        }
    }
}
