import RecordModel

/// The error strings and gRPC codes of etcd's `rpctypes`: clients match on them. The code is
/// gRPC's number.
package struct EtcdError: Error, Hashable, Sendable {
    package var code: Int
    package var message: String

    private init(_ code: Int, _ message: String) {
        self.code = code
        self.message = message
    }

    private static let invalidArgument = 3
    private static let notFound = 5
    private static let resourceExhausted = 8
    private static let failedPrecondition = 9
    private static let outOfRange = 11
    private static let internalError = 13
    private static let unavailable = 14
    private static let dataLoss = 15

    package static let emptyKey = EtcdError(invalidArgument, "etcdserver: key is not provided")
    package static let keyNotFound = EtcdError(invalidArgument, "etcdserver: key not found")
    package static let valueProvided = EtcdError(invalidArgument, "etcdserver: value is provided")
    package static let leaseProvided = EtcdError(invalidArgument, "etcdserver: lease is provided")
    package static let tooManyOperations = EtcdError(
        invalidArgument, "etcdserver: too many operations in txn request")
    package static let duplicateKey = EtcdError(
        invalidArgument, "etcdserver: duplicate key given in txn request")
    package static let invalidSortOption = EtcdError(
        invalidArgument, "etcdserver: invalid sort option")
    package static let requestTooLarge = EtcdError(
        invalidArgument, "etcdserver: request is too large")
    package static let compacted = EtcdError(
        outOfRange, "etcdserver: mvcc: required revision has been compacted")
    package static let futureRevision = EtcdError(
        outOfRange, "etcdserver: mvcc: required revision is a future revision")
    package static let leaseNotFound = EtcdError(
        notFound, "etcdserver: requested lease not found")
    package static let leaseExists = EtcdError(
        failedPrecondition, "etcdserver: lease already exists")
    package static let leaseTTLTooLarge = EtcdError(
        outOfRange, "etcdserver: too large lease TTL")
    package static let tooManyRequests = EtcdError(
        resourceExhausted, "etcdserver: too many requests")
    package static let noLeader = EtcdError(unavailable, "etcdserver: no leader")
    /// The outcome of a write is not known: it may be applied yet.
    package static let timedOut = EtcdError(unavailable, "etcdserver: request timed out")
    package static let stopped = EtcdError(unavailable, "etcdserver: server stopped")

    /// `keyspace` metadata that names none.
    package static func unknownKeyspace(_ name: String) -> EtcdError {
        EtcdError(
            invalidArgument,
            "spine: keyspace \(name) does not exist; use \"default\" or \"fhir\"")
    }

    /// Bytes that are not the request's message: what grpc-go answers, up to the second colon.
    package static func undecodable(_ what: String) -> EtcdError {
        EtcdError(internalError, "grpc: error unmarshalling request: \(what)")
    }

    package static func malformed(_ what: String) -> EtcdError {
        EtcdError(invalidArgument, "spine: \(what)")
    }

    package static func precondition(_ what: String) -> EtcdError {
        EtcdError(failedPrecondition, "spine: \(what)")
    }

    package static func storage(_ what: String) -> EtcdError {
        EtcdError(dataLoss, "spine: this node's storage failed: \(what)")
    }

    /// etcd has no limit of its own here: gRPC's on the size of a message has this code.
    package static func answerTooLarge(limit: Int) -> EtcdError {
        EtcdError(
            resourceExhausted,
            "\(answerTooLargeText) \(limit) bytes: ask with a limit, page by page")
    }

    /// What the message begins with. The code alone would tell a client to try again.
    package static let answerTooLargeText = "spine: the answer takes more than"

    /// As etcd answers a request that it will not put into its log.
    package static func changeTooLarge(limit: Int) -> EtcdError {
        EtcdError(
            invalidArgument,
            "etcdserver: request is too large: it would change rows of more than \(limit) bytes at "
                + "once; change smaller ranges")
    }

    package init(_ refusal: CommandRefusal) {
        switch refusal {
        case .emptyKey: self = .emptyKey
        case .keyNotFound: self = .keyNotFound
        case .valueProvided: self = .valueProvided
        case .leaseProvided: self = .leaseProvided
        case .duplicateKey: self = .duplicateKey
        case .compacted: self = .compacted
        case .futureRevision: self = .futureRevision
        case .leaseNotFound: self = .leaseNotFound
        case .leaseExists: self = .leaseExists
        case .leaseTooLong: self = .leaseTTLTooLarge
        // Only leaders decide, and none of them is a client.
        case .leaseDecisionStale: self = .leaseNotFound
        case .restoring(let restoreID):
            self = .precondition(
                "keyspace is being restored (\(restoreID)) and does not serve until that is done; "
                    + "run spinectl snapshot restore again to finish it")
        case .notEmpty(let revision):
            self = .precondition(
                "keyspace is not empty (revision \(revision)): restore into a new cluster")
        case .restoreMismatch(let what): self = .precondition("restore: \(what)")
        case .answerTooLarge(let limit): self = .answerTooLarge(limit: limit)
        case .changeTooLarge(let limit): self = .changeTooLarge(limit: limit)
        case .malformed(let what): self = .malformed(what)
        }
    }
}
