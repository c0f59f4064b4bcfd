import Consensus
import Primitives

/// What the groups of a turn want durable: one sync serves them all.
package struct AppendBatch: Hashable, Sendable {
    /// What is written, in this order: one for each group, unless two could not be made one.
    /// `messagesAfterDurable` are in the batch's.
    package private(set) var works: [InGroup<AppendWork>] = []
    /// At most one for each node, ascending.
    package private(set) var messagesAfterDurable: [NodeBatch] = []
    /// The latest of each group, in the order in which the groups came: `MultiRaft.durable` takes them.
    package private(set) var tickets: [InGroup<AppendTicket>] = []
    private var places: [GroupID: (ticket: Int, work: Int?)] = [:]

    package init() {}

    package static func == (a: Self, b: Self) -> Bool {
        a.works == b.works && a.messagesAfterDurable == b.messagesAfterDurable
            && a.tickets == b.tickets
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(works)
        hasher.combine(messagesAfterDurable)
        hasher.combine(tickets)
    }

    package var isEmpty: Bool { tickets.isEmpty }

    /// - Parameter work: its messages travel apart, by `send`.
    mutating func append(_ work: AppendWork, of group: GroupID) {
        var work = work
        work.messagesAfterDurable = []
        var place = places[group] ?? (ticket: tickets.count, work: nil)
        if place.ticket == tickets.count {
            tickets.append(InGroup(group, work.ticket))
        } else {
            tickets[place.ticket].value = work.ticket
        }
        if !work.writesNothing {
            if let at = place.work, works[at].value.follow(with: work) {
                // They are one.
            } else {
                place.work = works.count
                works.append(InGroup(group, work))
            }
        }
        places[group] = place
    }

    mutating func send(_ batches: [NodeBatch]) {
        for batch in batches {
            let at = messagesAfterDurable.firstIndex { $0.to >= batch.to }
            if let at, messagesAfterDurable[at].to == batch.to {
                messagesAfterDurable[at].messages.append(contentsOf: batch.messages)
            } else {
                messagesAfterDurable.insert(batch, at: at ?? messagesAfterDurable.count)
            }
        }
    }

    /// Makes one batch of this one and the next: both become durable with one sync.
    package mutating func follow(with later: AppendBatch) {
        for work in later.works { append(work.value, of: work.group) }
        // Works that wrote nothing have tickets all the same.
        for ticket in later.tickets {
            if let place = places[ticket.group] {
                tickets[place.ticket].value = ticket.value
            } else {
                places[ticket.group] = (ticket: tickets.count, work: nil)
                tickets.append(ticket)
            }
        }
        send(later.messagesAfterDurable)
    }
}

extension AppendWork {
    package var writesNothing: Bool {
        hardState == nil && replacedFrom == nil && entries.isEmpty && start == nil && peers.isEmpty
            && repaired.isEmpty
    }

    /// Makes one work of this one and a later one of the same group, neither of them durable yet:
    /// what the later one replaces need not be written at all.
    ///
    /// - Returns: false, and nothing changed, when the two must be written one after the other.
    package mutating func follow(with later: AppendWork) -> Bool {
        precondition(later.ticket > ticket, "ticket \(later.ticket) behind \(ticket)")
        if let begins = later.start {
            if begins.replacesAll {
                entries = []
                replacedFrom = nil
                repaired = []
            } else {
                // The front that goes is durable, and so not among what this work writes; but two
                // beginnings are not made one.
                guard start == nil, entries.first.map({ $0.index > begins.index }) ?? true,
                    replacedFrom.map({ $0 > begins.index }) ?? true
                else { return false }
                repaired.removeAll { $0.index <= begins.index }
            }
            start = begins
        }
        ticket = later.ticket
        for record in later.peers {
            peers.removeAll { $0.replica == record.replica }
            peers.append(record)
        }
        if let from = later.replacedFrom { repaired.removeAll { $0.index >= from } }
        repaired += later.repaired
        if let state = later.hardState { hardState = state }
        messagesAfterDurable += later.messagesAfterDurable
        if let from = later.replacedFrom {
            if let first = entries.first, from > first.index {
                entries.removeAll { $0.index >= from }
            } else {
                entries = []
                replacedFrom = replacedFrom.map { min($0, from) } ?? from
            }
        }
        entries += later.entries
        return true
    }
}
