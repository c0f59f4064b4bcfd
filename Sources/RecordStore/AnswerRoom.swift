import RecordModel

/// What is left of the memory that all answers within one read or one command may take.
struct AnswerRoom {
    let limits: AnswerLimits
    private(set) var left: Int

    init(_ limits: AnswerLimits) {
        self.limits = limits
        left = limits.bytesMax
    }

    mutating func take(_ bytes: Int) { left -= min(bytes, left) }

    /// Takes one record's share, or refuses.
    mutating func take(_ record: Record) throws(RecordReadFailure) {
        let bytes = record.answerBytes
        guard bytes <= left else { throw .refused(.answerTooLarge(limit: limits.bytesMax)) }
        left -= bytes
    }
}
