import Consensus
import MultiRaft
import Primitives
import RecordModel

/// What a client asks for.
enum WorkRequest: Hashable {
    case key(KeyRequest)
    case store(StoreRequest)

    var isRead: Bool {
        switch self {
        case .key(let request): request.action == .read
        case .store(let request): !request.operation.mayWrite
        }
    }
}

enum WorkOutcome {
    case answer(WorkloadAnswer)
    case refused
    case unknown
}

/// A sequential process of the workload. Whose operation's outcome is unknown goes on as another
/// process: that operation is still under way.
final class Client {
    let number: Int
    var history: HistoryClient
    /// Counts its operations; an answer to an earlier one is late.
    var serial = 0
    var current: (id: OperationID, isKey: Bool)?
    /// How its last operation ended.
    var heard: WorkOutcome?

    init(number: Int) {
        self.number = number
        history = HistoryClient(number)
    }
}

extension World {
    /// Few keys, so that operations meet.
    private static let keys: [Bytes] = ["a", "b", "c", "d", "e"].map { Array($0.utf8) }
    /// Operations of a run at most: the checkers of histories are searches.
    private var operationsMax: Int { 6_000 }

    func clientActs(_ client: Client) {
        precondition(client.current == nil, "client \(client.number) has an operation under way")
        let think = workChance.skewed(500...120_000)
        guard isWorking, report.operations.invoked < operationsMax,
            let (node, place) = chooseNode()
        else {
            schedule(.client(client.number), in: 20_000 + think)
            return
        }
        client.serial += 1
        let request = makeRequest(node.seats[place], client)
        switch request {
        case .key(let key):
            client.current = (keyHistory.invoke(client.history, key, at: now), true)
        case .store(let store):
            client.current = (storeHistory.invoke(client.history, store, at: now), false)
        }
        report.operations.invoked += 1
        trace.mix(7, client.number, client.serial)
        trace.note(now, "client \(client.number) asks node \(node.id): \(request.shown)")
        schedule(
            .clientTimeout(client.number, serial: client.serial),
            in: workChance.within(100_000...2_500_000))
        submit(request, client, node, place)
    }

    private func chooseNode() -> (Node, Int)? {
        var draw = workChance.below(100)
        var group = 0
        while group + 1 < specs.count, draw >= specs[group].share {
            draw -= specs[group].share
            group += 1
        }
        var candidates: [(Node, Int)] = []
        for node in nodes where node.isUp && node.pausedUntil <= now {
            for (place, seat) in node.seats.enumerated()
            where seat.group == group && seat.isRunning && !seat.isWitness {
                candidates.append((node, place))
            }
        }
        guard !candidates.isEmpty else { return nil }
        let leading = candidates.filter { $0.0.seats[$0.1].last?.role == .leader }
        if !leading.isEmpty, workChance.below(4) > 0 { return workChance.pick(leading) }
        return workChance.pick(candidates)
    }

    func submit(_ request: WorkRequest, _ client: Client, _ node: Node, _ place: Int) {
        if case .store(let store) = request, store.isSerializable {
            let read = ReadUnderWay(
                seat: place, client: client.number, serial: client.serial, request: request)
            answerRead(node, node.seats[place], read)
            return
        }
        let sequence = node.nextSequence
        node.nextSequence += 1
        let deadline = MonotonicTime(
            nanoseconds: monotonic(node).nanoseconds + workChance.within(100...2_500) * 1_000_000)
        if request.isRead {
            node.reads[sequence] = ReadUnderWay(
                seat: place, client: client.number, serial: client.serial, request: request)
            if options.sabotage == .staleReads, workChance.below(3) == 0,
                let read = node.reads.removeValue(forKey: sequence)
            {
                answerRead(node, node.seats[place], read)
                return
            }
            post(.read(seat: place, token: sequence, deadline: deadline), to: node)
            return
        }
        let id = ProposalID(node: node.id, incarnation: node.incarnation, sequence: sequence)
        let command: Bytes
        switch request {
        case .key(let key):
            command = RegisterCommand(id: id, key: key.key, action: key.action).encoded()
        case .store(let store):
            command = Command(id: id, body: .operation(store.operation.operation)).encode()
        }
        node.proposals[sequence] = ProposalUnderWay(
            seat: place, client: client.number, serial: client.serial)
        if options.sabotage == .earlyAnswers, case .key(let key) = request,
            case .put = key.action, workChance.below(5) == 0
        {
            told(client.number, client.serial, .answer(.key(.written(revision: nil))))
        }
        post(
            .propose(
                NodeProposal(
                    sequence: sequence, group: specs[node.seats[place].group].id, command: command,
                    deadline: deadline)), to: node)
    }

    /// From what the node has applied.
    func answerRead(_ node: Node, _ seat: Seat, _ read: ReadUnderWay) {
        switch read.request {
        case .key(let request):
            guard let machine = seat.machine as? RegisterMachine else { return }
            told(read.client, read.serial, .answer(.key(machine.state.read(request.key))))
        case .store(let request):
            guard let machine = seat.machine as? RecordMachine else { return }
            do throws(MachineFailure) {
                let answer = try machine.read(request.operation)
                told(read.client, read.serial, .answer(answer))
            } catch {
                told(read.client, read.serial, .refused)
                machineFailed(node, seat, error)
            }
        }
    }

    func clientTimedOut(_ client: Client, _ serial: Int) {
        guard client.serial == serial, client.current != nil else { return }
        told(client.number, serial, .unknown)
    }

    /// A client's operation has ended, as far as it is concerned.
    func told(_ number: Int, _ serial: Int, _ outcome: WorkOutcome) {
        let client = clients[number]
        guard client.serial == serial, let (id, isKey) = client.current else { return }
        client.current = nil
        client.heard = outcome
        trace.note(now, "client \(number) hears of \(id): \(outcome)")
        switch outcome {
        case .answer(.key(let answer)):
            keyHistory.complete(id, .answered(answer), at: now)
            report.operations.answered += 1
        case .answer(.store(let reply)):
            storeHistory.complete(id, .answered(reply), at: now)
            report.operations.answered += 1
        case .answer(.refused), .refused:
            if isKey {
                keyHistory.complete(id, .refused, at: now)
            } else {
                storeHistory.complete(id, .refused, at: now)
            }
            report.operations.refused += 1
        case .unknown:
            if isKey {
                keyHistory.complete(id, .unknown, at: now)
            } else {
                storeHistory.complete(id, .unknown, at: now)
            }
            client.history = HistoryClient(client.history.rawValue + clients.count)
            report.operations.unknown += 1
        }
        if isStaged { return }
        schedule(.client(number), in: workChance.skewed(500...120_000))
    }

    // MARK: What is asked

    private func makeRequest(_ seat: Seat, _ client: Client) -> WorkRequest {
        switch spec(seat).machine {
        case .registers: .key(makeKeyRequest(seat, client))
        case .records: .store(makeStoreRequest(client))
        }
    }

    private func value(_ client: Client) -> Bytes {
        let text = "\(client.history.rawValue).\(client.serial)"
        let padding = workChance.below(8) == 0 ? workChance.below(300) : 0
        return Array(text.utf8) + Bytes(repeating: 0x2E, count: padding)
    }

    private func makeKeyRequest(_ seat: Seat, _ client: Client) -> KeyRequest {
        let key = workChance.pick(Self.keys)
        let action: KeyRequest.Action
        switch workChance.below(10) {
        case 0...3: action = .read
        case 4...6: action = .put(value(client))
        case 7, 8:
            // What this client may have seen: often right, often not.
            let expected = (seat.machine as? RegisterMachine)?.state.cell(key)
            let condition: KeyRequest.Condition =
                workChance.below(2) == 0
                ? .value(expected?.value) : .modRevision(expected?.modRevision ?? .none)
            action = .compareAndPut(condition, value(client))
        default: action = .delete
        }
        return KeyRequest(group: specs[seat.group].id, key: key, action)
    }

    private func makeStoreRequest(_ client: Client) -> StoreRequest {
        let key = workChance.pick(Self.keys)
        switch workChance.below(12) {
        case 0, 1, 2: return StoreRequest(.put(key: key, value: value(client)))
        case 3: return StoreRequest(.delete(.key(key), wantsPrevious: true))
        case 4, 5, 6: return StoreRequest(.range(.key(key)))
        case 7: return StoreRequest(.range(.everything))
        case 8: return StoreRequest(.range(.everything), isSerializable: true)
        case 9: return StoreRequest(.delete(KeyRange(lower: key, end: .before([0x64]))))
        default:
            let other = workChance.pick(Self.keys)
            let compare = Compare(
                range: .key(key), relation: workChance.pick([.equal, .greater, .notEqual]),
                target: .version(Int64(workChance.below(3))))
            return StoreRequest(
                .txn(
                    compares: [compare],
                    then: [.put(key: key, value: value(client)), .range(.key(other))],
                    otherwise: [.delete(.key(other)), .range(.everything, limit: 2)]))
        }
    }
}

extension WorkRequest {
    /// In few words, for a trace.
    var shown: String {
        switch self {
        case .key(let request):
            let key = shownBytes(request.key)
            switch request.action {
            case .read: return "\(request.group) read \(key)"
            case .put(let value): return "\(request.group) put \(key) \(shownBytes(value))"
            case .compareAndPut: return "\(request.group) compare and put \(key)"
            case .delete: return "\(request.group) delete \(key)"
            }
        case .store(let request):
            switch request.operation {
            case .range: return "range" + (request.isSerializable ? ", stale is enough" : "")
            case .put(let key, let value, _):
                return "put \(shownBytes(key)) \(shownBytes(value))"
            case .delete: return "delete a range"
            case .txn: return "transaction"
            }
        }
    }
}

extension WorkOutcome: CustomStringConvertible {
    var description: String {
        switch self {
        case .answer(.key(let answer)): "\(answer)"
        case .answer(.store(let reply)): "revision \(reply.revision)"
        case .answer(.refused), .refused: "refused"
        case .unknown: "unknown"
        }
    }
}

private func shownBytes(_ bytes: [UInt8]) -> String { String(shown(bytes).prefix(24)) }
