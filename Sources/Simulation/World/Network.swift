import Consensus
import MultiRaft
import Primitives

/// Which links work. Cuts are counted, so that several may lie on one link.
struct Network {
    private let nodes: Int
    private var cuts: [Int]
    /// Cuts that are in force, by number.
    private(set) var standing: [(number: Int, links: [(from: Int, to: Int)])] = []
    private var nextCut = 0
    /// When the last packet of each link arrives, for links that keep order.
    var lastArrival: [UInt64]
    /// When the last packet of all arrives, those included that keep no order.
    var lastOfAll: UInt64 = 0

    init(nodes: Int) {
        self.nodes = nodes
        cuts = Array(repeating: 0, count: nodes * nodes)
        lastArrival = Array(repeating: 0, count: nodes * nodes)
    }

    func link(_ from: Int, _ to: Int) -> Int { from * nodes + to }

    func isCut(_ from: Int, _ to: Int) -> Bool { cuts[link(from, to)] > 0 }

    mutating func cut(_ links: [(from: Int, to: Int)]) -> Int {
        for (from, to) in links { cuts[link(from, to)] += 1 }
        standing.append((nextCut, links))
        nextCut += 1
        return nextCut - 1
    }

    mutating func mend(_ number: Int) {
        guard let at = standing.firstIndex(where: { $0.number == number }) else { return }
        for (from, to) in standing.remove(at: at).links { cuts[link(from, to)] -= 1 }
    }

    mutating func mendAll() { for cut in standing { mend(cut.number) } }
}

extension World {
    func send(_ batches: [NodeBatch], from node: Node) {
        for batch in batches where !batch.messages.isEmpty {
            noteMessages(batch.messages)
            let to = Int(batch.to.rawValue) - 1
            guard nodes.indices.contains(to), to != node.number else {
                fail("node \(node.id) speaks to node \(batch.to)")
                return
            }
            send(Packet(from: node.number, to: to, messages: batch.messages))
        }
    }

    private func send(_ packet: Packet) {
        if network.isCut(packet.from, packet.to) { return }
        if networkChance.happens(profile.messageRate(.loss)) {
            injected(.loss)
            return
        }
        arrange(packet)
        if networkChance.happens(profile.messageRate(.duplication)) {
            injected(.duplication)
            arrange(packet)
        }
    }

    private func arrange(_ packet: Packet) {
        var delay = networkChance.within(profile.latency)
        if networkChance.happens(profile.messageRate(.delay) / 4) {
            injected(.delay)
            delay += networkChance.skewed(5_000...3_000_000)
        }
        var arrival = now + delay
        let link = network.link(packet.from, packet.to)
        if profile.enables(.reordering) && networkChance.below(3) == 0 {
            injected(.reordering)
            arrival += networkChance.within(0...4 * profile.latency.upperBound)
        } else {
            arrival = max(arrival, network.lastArrival[link])
            network.lastArrival[link] = arrival
        }
        network.lastOfAll = max(network.lastOfAll, arrival)
        queue.push(.deliver(packet), at: arrival)
    }

    func deliver(_ packet: Packet) {
        if network.isCut(packet.from, packet.to) { return }
        let node = nodes[packet.to]
        guard node.isUp else { return }
        if node.pausedUntil > now {
            queue.push(.deliver(packet), at: node.pausedUntil)
            return
        }
        trace.mix(1, packet.from, packet.to)
        for message in packet.messages.messages {
            trace.note(
                now,
                "  \(message.from)→\(message.to) group \(message.group) term \(message.term) "
                    + "\(message.kind)".prefix(160))
        }
        post(.messages(packet.messages, from: nodes[packet.from].id), to: node)
    }

    /// On which node a replica sits, or sat last.
    func place(of replica: ReplicaID, in group: GroupID) -> Int? {
        let raw = replica.rawValue
        if raw <= UInt64(founders) { return Int(raw) - 1 }
        return operatorState.places[replica]
    }

    func post(_ notice: Notice, to node: Node) {
        node.notices.append(notice)
        guard !node.isTurnDue else { return }
        node.isTurnDue = true
        schedule(.turn(node: node.number, life: node.life), in: timeChance.within(5...60))
    }
}
