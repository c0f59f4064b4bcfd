import Consensus
import MultiRaft
import Primitives
import RecordModel
import ReplicatedLog
import StorageEngine

/// Something that the consensus thread of a node is told.
enum Notice {
    case messages(NodeMessages, from: NodeID)
    case durable([InGroup<AppendTicket>])
    case applied(AppliedReport)
    case persisted(seat: Int, through: LogIndex)
    case fetched(seat: Int, FetchedEntries)
    case damaged(seat: Int, ClosedRange<LogIndex>)
    case snapshotMade(seat: Int, SnapshotID, LogIndex?)
    case snapshotEnded(seat: Int, SnapshotID, SnapshotInstallOutcome)
    case propose(NodeProposal)
    case read(seat: Int, token: UInt64, deadline: MonotonicTime)
    case configure(seat: Int, ConfigurationRequest)
    case transfer(seat: Int, ReplicaID?)
    /// A promise has been made, or has run out: the group's deadline is another.
    case promised(seat: Int)
}

/// A machine of the cluster: its disk, which survives, and the process that runs on it.
final class Node {
    let number: Int
    let zone: ZoneID
    var isUp = false
    /// Rises with each start and each stop.
    var life = 0
    /// Never brought forward while the process lives: what was due meanwhile, its ticks too, has been
    /// put off until then.
    var pausedUntil: UInt64 = 0

    // Clocks.
    /// Microseconds by which the wall clock is off.
    var skew: Int64 = 0
    /// Parts per million by which the monotonic clock runs fast.
    var driftPPM: Int64 = 0
    /// Since when it does, and by how many microseconds it was ahead then.
    var driftsSince: UInt64 = 0
    var clockAhead: Int64 = 0
    var lastReading: UInt64 = 0

    // The disk.
    var device = MemoryLogDevice()
    var incarnation: UInt64 = 0
    /// Something befell it that no disk may do.
    var isDiskDamaged = false
    var syncDelay: UInt64 = 0
    var isFull = false
    var images: [DiskImage] = []
    /// A log has been begun on this disk: an empty device has forgotten it.
    var hasLog = false
    var seats: [Seat] = []

    // The process.
    var core: MultiRaft?
    /// The core at an earlier moment of this life.
    var earlier: MultiRaft?
    var log: ReplicatedLog?
    var notices: [Notice] = []
    var isTurnDue = false
    var nextTick: UInt64 = 0
    var logQueue: [AppendBatch] = []
    var logBatch = AppendBatch()
    var isLogBusy = false
    var applyQueue: [(seat: Int, range: CommittedRange)] = []
    var applyBatch: [(seat: Int, range: CommittedRange)] = []
    var isApplyBusy = false
    var proposals: [UInt64: ProposalUnderWay] = [:]
    var reads: [UInt64: ReadUnderWay] = [:]
    /// Reads that the core was asked for in the turn under way.
    var readsAsked: Set<UInt64> = []
    /// Groups that slept before the ticks of the turn under way.
    var sleepers: [GroupID] = []
    /// Snapshots made here, by group and name; forgotten with the process.
    var snapshots: [(group: Int, id: SnapshotID, image: MachineSnapshot)] = []
    var nextSequence: UInt64 = 1
    /// What the node tells its operators now.
    private(set) var alarms: [InGroup<Alarm>] = []

    init(number: Int, zone: ZoneID) {
        self.number = number
        self.zone = zone
    }

    var id: NodeID { NodeID(UInt64(number + 1)) }

    func place(of group: GroupID, _ specs: [GroupSpec]) -> Int? {
        seats.firstIndex { specs[$0.group].id == group && $0.isRunning }
    }

    func note(_ change: InGroup<AlarmChange>) {
        switch change.value {
        case .raised(let alarm): alarms.append(InGroup(change.group, alarm))
        case .lowered(let alarm):
            alarms.removeAll { $0.group == change.group && $0.value == alarm }
        }
    }

    /// The process's memory.
    func forget() {
        log = nil
        core = nil
        earlier = nil
        notices = []
        isTurnDue = false
        logQueue = []
        logBatch = AppendBatch()
        isLogBusy = false
        applyQueue = []
        applyBatch = []
        isApplyBusy = false
        proposals = [:]
        reads = [:]
        readsAsked = []
        sleepers = []
        snapshots = []
        alarms = []
        for seat in seats {
            seat.isRunning = false
            seat.last = nil
            seat.earlier = nil
            seat.transfer = nil
            seat.promises = []
            seat.transferAskedIn = nil
        }
    }
}

/// A node's place in one group.
final class Seat {
    let group: Int
    var replica: ReplicaID
    /// From which the replica starts when its log says nothing.
    var addressBook: Configuration
    let machine: any StateMachine
    /// Its machine is started, and the core has its replica.
    var isRunning = false
    /// The replica when it was last looked at.
    var last: Glance?
    /// The replica at an earlier moment of this life.
    var earlier: RaftGroup?
    /// What the disk holds of the log, as the simulator knows it.
    var ledger = Ledger()
    /// What the disk held before it was lost.
    var ledgerBeforeLoss: Ledger?
    /// The same as far as the process can know: what was damaged since its start is not in it.
    var known = Ledger()
    /// Works that are written and not synced.
    var unsynced: [AppendWork] = []
    /// *Seated*: its beginning is durable in the log (`ReplicatedLog.declareComplete`).
    var hasBegun = false
    /// Where the replica stands aside for good: another seat takes its place.
    var isGivenUp = false
    /// It knows that it is a member no more.
    var isFoundRemoved = false
    /// A lost replica's successor, whom no configuration names yet.
    var isWanted = false
    var givenAt: UInt64 = 0
    var isWitness = false
    /// The state on the disk is gone or cannot be read.
    var mustRebuild = false
    /// The state was damaged, found or not, or is gone, and no snapshot has taken its place; a log from
    /// the beginning makes it anew.
    var stateIsAmiss = false
    /// The disk has been damaged, or exchanged: its log may come back with anything.
    var isHarmed = false
    /// The snapshot that the state was last made of; as durable as the state.
    var installed: SnapshotMetadata?
    /// In force when the replica was last seen.
    var configuration: Configuration
    /// The snapshot that is being fetched.
    var transfer: SnapshotID?
    /// Ticks at which what was promised to clients runs out, ascending.
    var promises: [UInt64] = []
    /// The term in which somebody last asked it to hand over, as a leader.
    var transferAskedIn: Term?

    init(group: Int, replica: ReplicaID, addressBook: Configuration, machine: any StateMachine) {
        self.group = group
        self.replica = replica
        self.addressBook = addressBook
        configuration = addressBook
        self.machine = machine
    }
}

/// A volume as it was at a stop.
struct DiskImage {
    var device: MemoryLogDevice
    var incarnation: UInt64
    var seats: [SeatImage]

    struct SeatImage {
        var replica: ReplicaID
        var registers: RegisterState?
        var engine: MemoryEngine?
        var ledger: Ledger
        var installed: SnapshotMetadata?
        var hasBegun: Bool
    }
}

struct ProposalUnderWay {
    var seat: Int
    var client: Int
    var serial: Int
}

struct ReadUnderWay {
    var seat: Int
    var client: Int
    var serial: Int
    var request: WorkRequest
}
