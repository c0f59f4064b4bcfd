import Primitives
import RecordModel

extension RecordReader {
    /// Records by their terms. The first clause is looked up in the index, alternative by
    /// alternative; each record found is read, and checked against the other clauses by its own
    /// terms. It is given at the first place only where the driving clause finds it, which its
    /// terms alone decide, so that pages need no memory of those before.
    package func query(_ query: RecordQuery) throws(RecordReadFailure) -> QueryResult {
        let shard = try shard()
        guard query.limit >= 1, let driver = query.clauses.first,
            query.clauses.allSatisfy({ !$0.alternatives.isEmpty })
        else {
            throw .refused(.malformed("a query has clauses, alternatives and a limit above zero"))
        }
        return try reading { () throws(RecordStoreError) in
            try run(query, drivenBy: driver.alternatives, shard)
        }
    }

    private func run(
        _ query: RecordQuery, drivenBy alternatives: [TermMatch], _ shard: ShardView
    ) throws(RecordStoreError) -> QueryResult {
        var result = QueryResult()
        // The entry looked at last: a page that ends is taken up behind it.
        var position = query.after
        let firstAlternative = Int(query.after?.alternative ?? 0)
        guard firstAlternative < alternatives.count else { return result }
        for number in firstAlternative..<alternatives.count {
            let match = alternatives[number]
            var rows = layout.index(match)
            if let after = query.after, Int(after.alternative) == number {
                let term = IndexTerm(name: match.name, value: after.value)
                let behind = layout.index(term, after.key) + [0]
                if rows.lower.lexicographicallyPrecedes(behind) { rows.lower = behind }
            }
            let cursor = try tables.cursor(rows)
            while let raw = cursor.key {
                let (value, key) = try layout.parse(index: raw)
                guard let record = try shard.newest(key)?.record else {
                    throw .inconsistent("an index row names a record that is not there")
                }
                result.keysRead += 2
                let isFirst = record.isFirstFound(by: alternatives, at: number, value)
                if isFirst, query.clauses.dropFirst().allSatisfy({ $0.holds(for: record) }) {
                    if result.records.count == query.limit {
                        result.next = position
                        return result
                    }
                    result.records.append(record)
                }
                position = QueryPosition(alternative: UInt32(number), value: value, key: key)
                try cursor.advance()
            }
        }
        return result
    }
}

extension RecordQuery.Clause {
    fileprivate func holds(for record: Record) -> Bool {
        alternatives.contains { alternative in record.terms.contains { alternative.matches($0) } }
    }
}

extension Record {
    /// Whether the first alternative that matches is this one, by this value first.
    fileprivate func isFirstFound(
        by alternatives: [TermMatch], at number: Int, _ value: Bytes
    ) -> Bool {
        for alternative in alternatives[..<number] where terms.contains(where: alternative.matches)
        {
            return false
        }
        return terms.first(where: alternatives[number].matches)?.value == value
    }
}
