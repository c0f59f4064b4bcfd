/// The table of docs/formats/storage-damage.md.
enum DamageTable {
    /// One row for each subject and damage, in the order of the cases.
    static func rows(_ results: [DamageRun.Result]) -> [String] {
        var order: [String] = []
        var counts: [String: [Outcome: Int]] = [:]
        var cases: [String: Int] = [:]
        for result in results {
            let row = "\(result.damaged.subject) | \(result.damaged.damage)"
            if cases[row] == nil { order.append(row) }
            cases[row, default: 0] += 1
            for outcome in result.outcomes { counts[row, default: [:]][outcome, default: 0] += 1 }
        }
        return order.map { row in
            let total = cases[row] ?? 0
            let outcomes = (counts[row] ?? [:]).sorted { $0.key < $1.key }.map { outcome, count in
                count == total ? outcome.text : "\(outcome.text) (\(count))"
            }
            return "| \(row) | \(total) | \(outcomes.joined(separator: "; ")) |"
        }
    }
}
