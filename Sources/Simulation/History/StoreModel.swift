import Primitives
import RecordModel

/// The sequential model of one group: etcd's data model (API reference, "Data model": revisions,
/// create and mod revision, version), one operation after another. It keeps every version, so that
/// ranges of the past can be answered, and can take back what it did, so that a search can try.
///
/// Written from etcd's documented behaviour, and apart from `RecordStore`: it must not share the
/// errors of what it judges.
///
/// Invariants:
/// 1. The versions of a key are in the order of their revisions.
/// 2. Every change is in `changes`, in the order in which it was made.
struct StoreModel {
    private struct Version {
        var modRevision: Revision
        /// What the put left, nil for a deletion.
        var content: StoreRecord?
    }

    /// A place to return to.
    struct Mark {
        fileprivate var changeCount: Int
        fileprivate var revision: Revision
    }

    private(set) var revision: Revision
    private var numbers: [Bytes: Int] = [:]
    /// Key and its number, in key order. A key stays when its versions are taken back.
    private var ordered: [(key: Bytes, number: Int)] = []
    private var versions: [[Version]] = []
    /// The key that each change was made to.
    private var changes: [Int] = []

    init(_ records: [StoreRecord], at revision: Revision) {
        self.revision = revision
        for record in records {
            append(Version(modRevision: record.modRevision, content: record), to: record.key)
        }
        changes = []
    }

    var mark: Mark { Mark(changeCount: changes.count, revision: revision) }

    mutating func undo(to mark: Mark) {
        while changes.count > mark.changeCount { versions[changes.removeLast()].removeLast() }
        revision = mark.revision
    }

    // MARK: Operations

    /// Raises the revision by one if anything changed.
    mutating func perform(_ operation: StoreOperation) -> StoreAnswer {
        let before = changes.count
        var path: [Bool] = []
        decide(operation, &path)
        var position = 0
        let answer = run(operation, path, &position)
        if changes.count > before { revision = revision.next }
        return answer
    }

    /// The newest version, nil where the key is absent.
    func record(_ key: Bytes) -> StoreRecord? {
        numbers[key].flatMap { versions[$0].last?.content }
    }

    /// Which list each transaction takes, nested ones included: compares look at the state before
    /// all of it (etcd `compareToPath`).
    private func decide(_ operation: StoreOperation, _ path: inout [Bool]) {
        guard case .txn(let compares, let then, let otherwise) = operation else { return }
        let holds = compares.allSatisfy(holds)
        path.append(holds)
        for operation in holds ? then : otherwise { decide(operation, &path) }
    }

    private mutating func run(
        _ operation: StoreOperation, _ path: [Bool], _ position: inout Int
    ) -> StoreAnswer {
        switch operation {
        case .range(let range, let past, let limit):
            let records = records(in: range, at: past)
            let shown = limit > 0 ? Array(records.prefix(limit)) : records
            return .range(shown, count: records.count)
        case .put(let key, let value, let wantsPrevious):
            let previous = record(key)
            let content = StoreRecord(
                key: key, value: value, createRevision: previous?.createRevision ?? revision.next,
                modRevision: revision.next, version: (previous?.version ?? 0) + 1)
            append(Version(modRevision: revision.next, content: content), to: key)
            return .put(previous: wantsPrevious ? previous : nil)
        case .delete(let range, let wantsPrevious):
            let previous = records(in: range, at: nil)
            for record in previous {
                append(Version(modRevision: revision.next, content: nil), to: record.key)
            }
            return .delete(count: previous.count, previous: wantsPrevious ? previous : [])
        case .txn(_, let then, let otherwise):
            let succeeded = path[position]
            position += 1
            var answers: [StoreAnswer] = []
            for operation in succeeded ? then : otherwise {
                answers.append(run(operation, path, &position))
            }
            return .txn(succeeded: succeeded, answers)
        }
    }

    private mutating func append(_ version: Version, to key: Bytes) {
        let number: Int
        if let known = numbers[key] {
            number = known
        } else {
            number = versions.count
            numbers[key] = number
            versions.append([])
            ordered.insert((key, number), at: firstIndex(from: key))
        }
        versions[number].append(version)
        changes.append(number)
    }

    // MARK: Reading

    private func records(in range: KeyRange, at past: Revision?) -> [StoreRecord] {
        if range.end == .single {
            return numbers[range.lower].flatMap { content($0, at: past) }.map { [$0] } ?? []
        }
        var records: [StoreRecord] = []
        var index = firstIndex(from: range.lower)
        while index < ordered.count, range.contains(ordered[index].key) {
            if let record = content(ordered[index].number, at: past) { records.append(record) }
            index += 1
        }
        return records
    }

    private func content(_ number: Int, at past: Revision?) -> StoreRecord? {
        guard let past, past > .none else { return versions[number].last?.content }
        return versions[number].last { $0.modRevision <= past }?.content
    }

    /// Index of the first key that is not below.
    private func firstIndex(from key: Bytes) -> Int {
        var low = 0
        var high = ordered.count
        while low < high {
            let middle = (low + high) / 2
            if ordered[middle].key.lexicographicallyPrecedes(key) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }

    /// True when it holds for every key in the range; for an empty range as if there were a key
    /// with all numbers 0 and no value, of which no compare of a value holds (etcd `applyCompare`).
    private func holds(_ compare: Compare) -> Bool {
        let records = records(in: compare.range, at: nil)
        let relation = compare.relation
        func every(_ wanted: Int64, _ number: (StoreRecord) -> Int64) -> Bool {
            if records.isEmpty { return relation.holds(0, wanted) }
            return records.allSatisfy { relation.holds(number($0), wanted) }
        }
        switch compare.target {
        case .version(let wanted): return every(wanted) { $0.version }
        case .createRevision(let wanted):
            return every(wanted.rawValue) { $0.createRevision.rawValue }
        case .modRevision(let wanted): return every(wanted.rawValue) { $0.modRevision.rawValue }
        case .lease(let wanted): return every(wanted) { _ in 0 }
        case .value(let wanted):
            if records.isEmpty { return false }
            return records.allSatisfy { relation.holds($0.value, wanted) }
        }
    }
}

extension Compare.Relation {
    fileprivate func holds(_ number: Int64, _ wanted: Int64) -> Bool {
        switch self {
        case .equal: number == wanted
        case .notEqual: number != wanted
        case .less: number < wanted
        case .greater: number > wanted
        }
    }

    fileprivate func holds(_ value: Bytes, _ wanted: Bytes) -> Bool {
        switch self {
        case .equal: value == wanted
        case .notEqual: value != wanted
        case .less: value.lexicographicallyPrecedes(wanted)
        case .greater: wanted.lexicographicallyPrecedes(value)
        }
    }
}
