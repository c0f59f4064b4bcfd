import Primitives

/// One group while a damaged log is read: what is certain of it, and what is in doubt.
///
/// After records were lost without a name, anything may have been among them. Later records settle
/// it: a standing or a hard state says all there is to say, and an entry of the same term as the
/// one before it proves everything before it, since an entry's index and term determine the whole
/// log up to it (Log Matching, thesis §3.5).
struct SalvagedGroup: Sendable {
    private(set) var index = GroupIndex()
    private var catalogue = EntryCatalogue()
    /// Why entries may be missing, or not be the group's any more.
    private var logDoubt: LogDistrust?
    /// Why term and vote may be older than those that were durable.
    private var hardStateDoubt: LogDistrust?
    private var voteIsLost = false
    private var peersAreLost = false
    /// The group has been forgotten, or never was.
    private(set) var isGone = false

    var isInDoubt: Bool { logDoubt != nil || hardStateDoubt != nil }

    /// Records were lost, and nothing says which.
    mutating func doubt(_ reason: LogDistrust) {
        logDoubt = logDoubt ?? reason
        hardStateDoubt = hardStateDoubt ?? reason
        peersAreLost = true
    }

    /// The log has been read to its end: what is in doubt now is distrusted.
    mutating func finish() {
        // The same entry may stand elsewhere, in a log that had been forgotten or replaced since.
        // A later opening will look there too.
        if index.damagedCount > 0 {
            for entry in catalogue.sorted()
            where index.contains(entry.index) && index.location(of: entry.index).isDamaged {
                _ = index.apply(.repaired(entry))
            }
        }
        if let reason = logDoubt ?? hardStateDoubt { index.noteDistrust(reason) }
        if voteIsLost { index.noteUnknownVote() }
        if peersAreLost { index.noteLostPeer() }
    }

    mutating func remove() {
        self = SalvagedGroup(catalogue: catalogue)
        isGone = true
    }

    init() {}
    private init(catalogue: EntryCatalogue) { self.catalogue = catalogue }

    mutating func take(_ change: IndexChange) {
        if case .reset = change { return remove() }
        isGone = false
        switch change {
        case .reset: break
        case .entry(let place): take(place)
        case .repaired(let place):
            catalogue.note(place)
            // In doubt the entry may be one that is not there: its record is kept in case it is.
            _ = index.apply(change)
        case .replaceFrom(let from):
            if logDoubt == nil {
                check(index.apply(change))
            } else if index.contains(from) {
                _ = index.apply(change)
            }
        case .start(let start, let lastIndex, let lastTerm):
            take(start, lastIndex, lastTerm)
        case .hardState(let state):
            if hardStateDoubt != nil || state.term < index.hardState.term {
                index.restate(state)
            } else {
                _ = index.apply(change)
            }
            (hardStateDoubt, voteIsLost) = (nil, false)
        case .peer, .trusted:
            _ = index.apply(change)
        case .standing(let standing):
            index = GroupIndex(standing, entries: &catalogue)
            (logDoubt, hardStateDoubt, voteIsLost, peersAreLost) = (nil, nil, false, false)
        }
    }

    /// A record of which the identifier is left.
    mutating func takeLost(_ record: RecordIdentifier) {
        switch record.kind {
        case .entry:
            isGone = false
            take(
                EntryPlace(
                    index: record.index, term: record.term, isConfiguration: false,
                    location: .damaged))
        case .repaired: break  // The entry stays as damaged as it was.
        case .hardState:
            isGone = false
            takeLostHardState(record)
        case .groupStart:
            isGone = false
            // A truncation that is not known of leaves more in the log, which does no harm.
            guard record.detail == RecordDetail.replacesAll else { return }
            index.restart(
                at: LogStart(
                    index: record.index, term: record.term, timestamp: .zero, configuration: [],
                    configurationIndex: .zero, replacesAll: false))
            index.noteDistrust(.startLost)
            logDoubt = nil
        case .peer:
            isGone = false
            peersAreLost = true
        // These say all in their identifiers.
        case .replaceFrom: take(.replaceFrom(record.index))
        case .reset: take(.reset)
        case .trusted: take(.trusted)
        // What it restated is known, or in doubt, already.
        case .standing: isGone = false
        }
    }

    // MARK: - Parts

    private mutating func check(_ follows: Bool) {
        if !follows { logDoubt = logDoubt ?? .contradiction }
    }

    private mutating func take(_ place: EntryPlace) {
        guard place.index > .zero else { return check(false) }
        if !place.location.isDamaged { catalogue.note(place) }
        if logDoubt == nil {
            check(index.apply(.entry(place)))
            if logDoubt == nil { return }
        }
        guard settle(through: place.index.previous, as: place.term) else { return }
        if index.apply(.entry(place)) { logDoubt = nil }
    }

    /// The group's log is known to have ended with entry `last`, and an entry of `term` to have
    /// been at or right behind it. When the log at hand reaches into that term, all of it up to
    /// there belongs to that log, and what lacks up to `last` is of that term.
    private mutating func settle(through last: LogIndex, as term: Term) -> Bool {
        guard last >= index.start.index else { return false }
        if last <= index.last {
            // The entry itself may be at hand, of which this is another record.
            let isKnown = index.contains(last.next) && index.term(of: last.next) == term
            guard isKnown || index.term(of: last) == term else { return false }
            if last < index.last { _ = index.apply(.replaceFrom(last.next)) }
            return true
        }
        guard index.lastTerm == term,
            last.rawValue - index.last.rawValue <= LogLimits.unnamedEntriesMax
        else { return false }
        while index.last < last {
            let lost = EntryPlace(
                index: index.last.next, term: term, isConfiguration: false, location: .damaged)
            guard index.apply(.entry(lost)) else { return false }
        }
        return true
    }

    private mutating func take(_ start: LogStart, _ lastIndex: LogIndex, _ lastTerm: Term) {
        if logDoubt == nil {
            let change = IndexChange.start(start, lastIndex: lastIndex, lastTerm: lastTerm)
            check(index.apply(change))
            if logDoubt == nil { return }
        }
        let isAtHand =
            !start.replacesAll && start.index >= index.start.index && start.index <= index.last
            && index.term(of: start.index) == start.term
        if isAtHand {
            let isSettled = lastIndex == start.index || settle(through: lastIndex, as: lastTerm)
            if isSettled, lastIndex == start.index, start.index < index.last {
                _ = index.apply(.replaceFrom(start.index.next))
            }
            _ = index.apply(.start(start, lastIndex: index.last, lastTerm: index.lastTerm))
            if isSettled { logDoubt = nil }
            return
        }
        index.restart(at: start)
        if lastIndex == start.index || settle(through: lastIndex, as: lastTerm) { logDoubt = nil }
    }

    private mutating func takeLostHardState(_ record: RecordIdentifier) {
        var state = HardState(term: record.term, commitIndex: record.index)
        let known = index.hardState
        let isSameTerm = record.term == known.term
        let hadVote = record.detail == RecordDetail.hasVote
        // A vote is cast once in a term (thesis §3.4).
        if isSameTerm { state.vote = known.vote }
        let isLost = hadVote && state.vote == nil || isSameTerm && voteIsLost
        if hardStateDoubt != nil || record.term < known.term {
            index.restate(state)
        } else {
            _ = index.apply(.hardState(state))
        }
        (hardStateDoubt, voteIsLost) = (nil, isLost)
    }
}
