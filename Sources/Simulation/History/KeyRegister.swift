/// One key as the search sees it after some order of operations.
///
/// A put of unknown outcome made a revision that nobody was told: it stays open, bounded from below
/// and by what was denied, until an answer tells it. So a state stands for all that fit it.
///
/// Invariants:
/// 1. An absent key has `value` and `modRevision` 0.
/// 2. A known `modRevision` is `floor`, and nothing is denied.
struct KeyRegister: Hashable {
    static let absent: Int32 = 0
    static let untold: Int64 = -1
    /// Stands for every value that no answer and no condition mentions.
    static let unmentioned: Int32 = -1

    /// Number of the value among those of the key's history, from 1.
    var value = Self.absent
    var modRevision: Int64 = 0
    /// The key's last change has at least this revision.
    var floor: Int64 = 0
    /// Revisions that the last change does not have, though they are not below the floor. Sorted.
    var denied: [Int64] = []

    /// Whether everything that can follow `other` can follow this.
    func covers(_ other: KeyRegister) -> Bool {
        value == other.value && modRevision == other.modRevision && floor <= other.floor
            && denied.allSatisfy { $0 < other.floor || other.denied.contains($0) }
    }

    /// - Parameter revision: nil where it was not told.
    func written(_ value: Int32, _ revision: Int64?) -> KeyRegister? {
        guard let revision else {
            return KeyRegister(
                value: value, modRevision: value == Self.absent ? 0 : Self.untold,
                floor: floor + 1)
        }
        guard revision > floor else { return nil }
        return KeyRegister(
            value: value, modRevision: value == Self.absent ? 0 : revision, floor: revision)
    }

    /// This state with the revision of the last change known. nil where it cannot be that.
    ///
    /// - Parameter isAnswered: an answered write was told this revision, so that no other made it.
    func told(_ revision: Int64, isAnswered: Bool) -> KeyRegister? {
        if modRevision != Self.untold { return modRevision == revision ? self : nil }
        guard !isAnswered, revision >= floor, !denied.contains(revision) else { return nil }
        return KeyRegister(value: value, modRevision: revision, floor: revision)
    }

    /// This state with the knowledge that the last change had another revision.
    func denying(_ revision: Int64) -> KeyRegister? {
        if modRevision != Self.untold { return modRevision == revision ? nil : self }
        if revision < floor || denied.contains(revision) { return self }
        var state = self
        state.denied.append(revision)
        state.denied.sort()
        return state
    }
}

/// What an operation does to a `KeyRegister`, together with what it was answered.
enum KeyStep: Hashable {
    case readAbsent
    case read(value: Int32, revision: Int64?, isAnswered: Bool = false)
    case put(value: Int32, revision: Int64?)
    case putIfValue(Int32, value: Int32, revision: Int64?)
    case putIfRevision(Int64, value: Int32, revision: Int64?, isAnswered: Bool = false)
    case unlessValue(Int32)
    case unlessRevision(Int64)
    case delete(existed: Bool?, revision: Int64?)

    /// Never changes the value, whatever the state.
    var observes: Bool {
        switch self {
        case .readAbsent, .read, .unlessValue, .unlessRevision, .delete(existed: false, _): true
        case .put, .putIfValue, .putIfRevision, .delete: false
        }
    }

    /// Possible in every state alike: what was there before it does not show.
    var isBlind: Bool {
        if case .put = self { return true }
        if case .delete(existed: nil, _) = self { return true }
        return false
    }

    /// The revision that a write was told.
    var writtenRevision: Int64? {
        switch self {
        case .put(_, let revision), .putIfValue(_, _, let revision),
            .putIfRevision(_, _, let revision, _), .delete(_, let revision):
            revision
        case .readAbsent, .read, .unlessValue, .unlessRevision: nil
        }
    }

    /// The same, with the knowledge of which revisions answered writes made.
    func knowing(_ answered: Set<Int64>) -> KeyStep {
        switch self {
        case .read(let value, let revision?, _):
            .read(value: value, revision: revision, isAnswered: answered.contains(revision))
        case .putIfRevision(let expected, let value, let revision, _):
            .putIfRevision(
                expected, value: value, revision: revision,
                isAnswered: answered.contains(expected))
        default: self
        }
    }

    /// The value that it must find, or must not.
    var mentionedValue: Int32? {
        switch self {
        case .read(let value, _, _), .putIfValue(let value, _, _), .unlessValue(let value): value
        case .readAbsent, .put, .putIfRevision, .unlessRevision, .delete: nil
        }
    }

    /// The same, but for a value that nothing mentions: writes of such values do the same.
    func namingOnly(_ mentioned: Set<Int32>) -> KeyStep {
        func name(_ value: Int32) -> Int32 {
            mentioned.contains(value) ? value : KeyRegister.unmentioned
        }
        return switch self {
        case .put(let value, let revision): .put(value: name(value), revision: revision)
        case .putIfValue(let expected, let value, let revision):
            .putIfValue(expected, value: name(value), revision: revision)
        case .putIfRevision(let expected, let value, let revision, let isAnswered):
            .putIfRevision(
                expected, value: name(value), revision: revision, isAnswered: isAnswered)
        case .readAbsent, .read, .unlessValue, .unlessRevision, .delete: self
        }
    }

    /// The state after it, nil where the answer cannot be given in this state.
    func apply(to state: KeyRegister) -> KeyRegister? {
        switch self {
        case .readAbsent:
            return state.value == KeyRegister.absent ? state : nil
        case .read(let value, let revision, let isAnswered):
            guard state.value == value else { return nil }
            guard let revision else { return state }
            return state.told(revision, isAnswered: isAnswered)
        case .put(let value, let revision):
            return state.written(value, revision)
        case .putIfValue(let expected, let value, let revision):
            return state.value == expected ? state.written(value, revision) : nil
        case .putIfRevision(let expected, let value, let revision, let isAnswered):
            return state.told(expected, isAnswered: isAnswered)?.written(value, revision)
        case .unlessValue(let expected):
            return state.value != expected ? state : nil
        case .unlessRevision(let expected):
            return state.denying(expected)
        case .delete(let existed, let revision):
            if state.value == KeyRegister.absent { return existed == true ? nil : state }
            return existed == false ? nil : state.written(KeyRegister.absent, revision)
        }
    }

    /// The state after it if it took effect unseen, nil where it would change nothing.
    func takeEffect(on state: KeyRegister) -> KeyRegister? {
        guard let after = apply(to: state) else { return nil }
        if case .delete = self, state.value == KeyRegister.absent { return nil }
        return after
    }
}
