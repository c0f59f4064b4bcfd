import Consensus
import Logging
import MultiRaft
import NIOCore
import NIOPosix
import Primitives
import RecordModel
import RecordStore
import ReplicatedLog
import RocksDBEngine
import StorageEngine
import Synchronization
import WireProtocol

/// One node of the cluster: its log, its state, its groups and the threads that run them. Services
/// (etcd, FHIR, recovery) stand on `submit` and `read`.
package final class Node: Sendable {
    package let configuration: NodeConfiguration
    package let id: NodeID
    package let cluster: ClusterID
    package let incarnation: UInt64
    let logger: Logger
    let metrics = NodeMetrics()
    let completions = CompletionTable()
    let board = StatusBoard()
    let engine: RocksDBEngine
    let stores: [GroupID: RecordStore]
    let directory: DataDirectory
    let directories: MemberDirectories
    private let log: ReplicatedLog
    private let transport: PeerTransport
    private let consensusMailbox = Mailbox<NodeEvent>(capacity: NodeLimits.consensusMailbox)
    private let logMailbox = Mailbox<AppendBatch>(capacity: NodeLimits.internalMailbox)
    private let applyMailbox = Mailbox<ApplyWork>(capacity: NodeLimits.internalMailbox)
    private let readMailbox = Mailbox<ReadWork>(
        capacity: NodeLimits.readMailbox, sharedByTakers: true)
    private let fetchMailbox = Mailbox<FetchWork>(
        capacity: NodeLimits.internalMailbox, sharedByTakers: true)
    /// What was committed, as far as this node's disk says, when it was opened.
    private let committedAtOpen: [GroupID: LogIndex]
    private let threads = Mutex<Threads>(Threads())
    /// Begins anew, above all before, with each incarnation: a refusal that was meant for a
    /// proposal of an earlier start must not fit one of this.
    private let sequence: Atomic<UInt64>
    private let isStopping = Atomic(false)
    let fatal: @Sendable (String) -> Void

    private struct Threads {
        var consensus: DedicatedThread?
        var log: DedicatedThread?
        var apply: DedicatedThread?
        var reads: [DedicatedThread] = []
    }

    /// Groups of every node (DESIGN, decision 2).
    static let groupIDs: [GroupID] = KeyspaceID.all.map(\.group)

    /// Opens the node's directory and brings back what it holds; serves nobody yet.
    ///
    /// - Parameter fatal: called once from any thread when the node cannot go on (a failed sync,
    ///   a state machine that cannot apply): the process must end, and may then be started again.
    package static func open(
        _ configuration: NodeConfiguration, eventLoops: any EventLoopGroup, logger: Logger,
        fatal: @escaping @Sendable (String) -> Void
    ) throws(ConfigurationError) -> Node {
        let directory = try DataDirectory.open(
            path: configuration.dataDirectory, cluster: configuration.clusterID,
            node: configuration.ownID)
        let (log, recovered) = try openLog(directory, logger: logger)
        let (engine, stores) = try openState(directory)
        try directory.markInitialized()
        return try Node(
            configuration, directory: directory, log: log, recovered: recovered, engine: engine,
            stores: stores, eventLoops: eventLoops, logger: logger, fatal: fatal)
    }

    private let multi: MultiRaft

    private init(
        _ configuration: NodeConfiguration, directory: DataDirectory, log: ReplicatedLog,
        recovered: [GroupID: RecoveredGroup], engine: RocksDBEngine,
        stores: [GroupID: RecordStore], eventLoops: any EventLoopGroup, logger: Logger,
        fatal: @escaping @Sendable (String) -> Void
    ) throws(ConfigurationError) {
        self.configuration = configuration
        self.directory = directory
        self.log = log
        self.engine = engine
        self.stores = stores
        self.logger = logger
        self.fatal = fatal
        id = configuration.ownID
        cluster = configuration.clusterID
        incarnation = directory.identity.incarnation
        var generator = SystemRandomNumberGenerator()
        // A volume that comes back as it was counts its incarnations a second time, and the log still
        // holds what the first of that number proposed.
        sequence = Atomic(generator.next() >> 1)

        let own = configuration.ownID
        let groups = try Self.openGroups(
            configuration, recovered: recovered, stores: stores, directory: directory,
            generator: &generator)
        let settings = Self.raftSettings(configuration)
        multi = MultiRaft(
            node: own, incarnation: directory.identity.incarnation,
            settings: MultiRaftSettings(
                heartbeatTicks: settings.heartbeatTicks,
                electionTimeoutTicks: settings.electionTimeoutTicks,
                maxPendingProposals: NodeLimits.pendingProposals,
                maxWaitingReads: NodeLimits.waitingReads,
                maxApplyBacklog: NodeLimits.applyBacklogEntries),
            groups: groups, seed: generator.next())
        committedAtOpen = Dictionary(
            uniqueKeysWithValues: groups.filter { stores[$0.group] != nil }.map {
                ($0.group, $0.commitIndex)
            })

        let peers = configuration.initialCluster.filter { $0.name != configuration.name }.map {
            PeerTransport.Peer(id: configuration.nodeID(of: $0), addresses: $0.peerURLs)
        }
        let directories = try MemberDirectories(path: directory.path)
        self.directories = directories
        let name = configuration.name
        let path = directory.path
        let seat = PeerTransport.Own(
            id: own, incarnation: directory.identity.incarnation,
            directory: directory.identity.directory, directories: directories
        ) {
            fatal(
                "member \(name) of this cluster had another data directory than \(path): its votes "
                    + "and its log are lost, and it must not take part as if it remembered. Start "
                    + "it with the directory that it had; without that, restore a recovery point "
                    + "into a new cluster: replacing a member is not there yet")
        }
        transport = PeerTransport(
            own: seat, cluster: configuration.clusterID, peers: peers, group: eventLoops,
            logger: logger, metrics: metrics, silence: configuration.electionTimeout * 3
        ) { [consensusMailbox] batch, from in
            // A node that stops says nothing: its peers elect another leader, and what is in no log
            // by then is sent to that one.
            consensusMailbox.post(.peer(batch, from: from)) || consensusMailbox.hasClosed
        }
    }

    /// Begins to take part in the cluster. The clients' listeners may be opened once it returns.
    package func start() async throws(ConfigurationError) {
        try await transport.listen(on: configuration.listenPeerURLs)
        transport.dial()
        let committer = GroupCommitter(
            log: log, mailbox: logMailbox, consensus: consensusMailbox, metrics: metrics,
            send: { [transport] batch in
                // None of them carries commands to a leader, which would have to be told of: those
                // wait for nothing and leave with the turn.
                _ = transport.send(batch)
            }, fatal: fatal)
        let applier = Applier(
            stores: stores, log: log, mailbox: applyMailbox, consensus: consensusMailbox,
            completions: completions, own: id, incarnation: incarnation,
            metrics: metrics, fatal: fatal)
        let pool = ReadPool(stores: stores, mailbox: readMailbox, fatal: fatal)
        let fetcher = LogFetcher(
            log: log, mailbox: fetchMailbox, consensus: consensusMailbox, fatal: fatal)
        let environment = ConsensusLoop.Environment(
            mailbox: consensusMailbox, log: logMailbox, apply: applyMailbox, reads: readMailbox,
            fetches: fetchMailbox, transport: transport, completions: completions, board: board,
            metrics: metrics, logger: logger,
            tick: (configuration.heartbeatInterval / Self.ticksPerHeartbeat).nanoseconds,
            served: Set(Self.groupIDs), fatal: fatal)
        let multi = multi
        threads.withLock { threads in
            threads.log = DedicatedThread(name: "spine-log") { committer.run() }
            threads.apply = DedicatedThread(name: "spine-apply") { applier.run() }
            threads.reads = (0..<NodeLimits.readThreads).map { number in
                DedicatedThread(name: "spine-read-\(number)") { pool.run() }
            }
            threads.reads.append(DedicatedThread(name: "spine-fetch") { fetcher.run() })
            threads.consensus = DedicatedThread(name: "spine-raft") {
                ConsensusLoop(environment: environment, multi: multi).run()
            }
        }
        await replayed()
        Task { await publishMember() }
    }

    /// Waits until this node's state is again what it was known to be: a serializable read asks
    /// nobody, and must not show a client less than it has seen here before.
    private func replayed() async {
        for (group, index) in committedAtOpen {
            while (stores[group]?.appliedIndex ?? .zero) < index {
                if isStopping.load(ordering: .relaxed) { return }
                try? await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    /// How long a request may take: etcd's 5 seconds plus two election timeouts.
    package var requestTimeout: Duration { .seconds(5) + configuration.electionTimeout * 2 }

    /// Stops in order: no more requests, then the threads from the first to the last in the path of
    /// a write, then the state on disk, so that the next start replays nothing.
    package func stop() async {
        guard !isStopping.exchange(true, ordering: .acquiringAndReleasing) else { return }
        let threads = threads.withLock { threads in
            defer { threads = Threads() }
            return threads
        }
        consensusMailbox.close()
        logMailbox.close()
        await join([threads.consensus, threads.log].compactMap(\.self))
        applyMailbox.close()
        readMailbox.close()
        fetchMailbox.close()
        await join([threads.apply].compactMap(\.self) + threads.reads)
        for completion in completions.takeAll() { completion(.failure(.outcomeUnknown)) }
        await transport.close()
        do throws(StorageError) { try engine.close() } catch {
            logger.error("the state could not be flushed, the next start replays it: \(error)")
        }
    }

    private func join(_ threads: [DedicatedThread]) async {
        await withCheckedContinuation { continuation in
            // Joining blocks, so it gets a thread of its own.
            _ = DedicatedThread(name: "spine-join") {
                for thread in threads { thread.join() }
                continuation.resume()
            }
        }
    }

    // MARK: - Requests

    /// Proposes a command; `completion` is called once, from any thread, and must not block.
    package func submit(
        _ body: Command.Body, to keyspace: KeyspaceID,
        completion: @escaping @Sendable (Result<CommandOutcome, NodeError>) -> Void
    ) {
        guard !isStopping.load(ordering: .relaxed) else { return completion(.failure(.stopping)) }
        let sequence = sequence.wrappingAdd(1, ordering: .relaxed).oldValue
        let command = Command(
            id: ProposalID(node: id, incarnation: incarnation, sequence: sequence), body: body
        ).encode()
        guard command.count <= NodeLimits.commandBytes else {
            let error = NodeError.tooLarge(bytes: command.count, limit: NodeLimits.commandBytes)
            return completion(.failure(error))
        }
        guard completions.insert(completion, sequence: sequence, bytes: command.count) else {
            return completion(.failure(.overloaded))
        }
        let proposal = NodeProposal(
            sequence: sequence, group: keyspace.group, command: command,
            deadline: MonotonicTime(
                nanoseconds: monotonicNanoseconds() + requestTimeout.nanoseconds))
        if !consensusMailbox.post(.propose(proposal)) {
            completions.take(sequence)?(.failure(.overloaded))
        }
    }

    /// Reads the keyspace; `run` is called once on a thread that may wait for the disk.
    ///
    /// - Parameter linearizable: false reads what this node has applied, without asking anybody.
    package func read(
        _ keyspace: KeyspaceID, linearizable: Bool,
        run: @escaping @Sendable (Result<RecordReader, NodeError>) -> Void
    ) {
        guard !isStopping.load(ordering: .relaxed) else { return run(.failure(.stopping)) }
        let waiter = ReadWaiter(
            deadline: monotonicNanoseconds() + requestTimeout.nanoseconds, run: run)
        let posted =
            linearizable
            ? consensusMailbox.post(.read(keyspace.group, waiter))
            : readMailbox.post(ReadWork(group: keyspace.group, waiters: [waiter]))
        if !posted { run(.failure(.overloaded)) }
    }

    package func submit(
        _ body: Command.Body, to keyspace: KeyspaceID
    ) async -> Result<CommandOutcome, NodeError> {
        await withCheckedContinuation { continuation in
            submit(body, to: keyspace) { continuation.resume(returning: $0) }
        }
    }

    /// The value that `body` computes on a reading thread.
    package func read<Value: Sendable>(
        _ keyspace: KeyspaceID, linearizable: Bool = true,
        _ body: @escaping @Sendable (RecordReader) throws(RecordReadFailure) -> Value
    ) async -> Result<Value, NodeError> {
        await withCheckedContinuation { continuation in
            read(keyspace, linearizable: linearizable) { result in
                continuation.resume(
                    returning: result.flatMap { reader in
                        do throws(RecordReadFailure) {
                            return .success(try body(reader))
                        } catch {
                            return .failure(self.failed(error))
                        }
                    })
            }
        }
    }

    package func status(of keyspace: KeyspaceID) -> GroupStatus? {
        board.status(of: keyspace.group)
    }

    /// Bytes of the state on disk and in memtables.
    var stateBytes: Int { Int(engine.diskBytes + engine.memtableBytes) }
}

extension Node {
    /// What a read that gave no answer means for its client. When it is this node's data that cannot
    /// be trusted, the node stops: one that knows of rot neither serves nor votes.
    func failed(_ failure: RecordReadFailure) -> NodeError {
        switch failure {
        case .refused(let refusal): return .refused(refusal)
        case .store(let error):
            fatal("the state in \(directory.statePath) cannot be read: \(error)")
            return .storage("\(error)")
        }
    }
}

extension Duration {
    /// Of a duration that is not negative and below 500 years.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    }
}
