/// Entries of one term, from `firstIndex` up to the next run or the log's end.
package struct TermRun: Hashable, Sendable {
    package var firstIndex: LogIndex
    package var term: Term

    package init(firstIndex: LogIndex, term: Term) {
        self.firstIndex = firstIndex
        self.term = term
    }
}
