/// One of two lists of operations, chosen by conditions, all at one revision (etcd `Txn`).
public struct Transaction: Hashable, Sendable {
    public enum Relation: Sendable { case equal, greater, less, notEqual }

    /// Holds when it holds for the key; a key that is not there has version and revisions 0.
    public struct Condition: Hashable, Sendable {
        enum Target: Hashable, Sendable {
            case version(Int64), createRevision(Int64), modRevision(Int64), value([UInt8])
            case lease(Int64)
        }
        var key: [UInt8]
        var relation: Relation
        var target: Target

        public static func version(of key: [UInt8], _ relation: Relation, _ version: Int64) -> Self
        {
            Self(key: key, relation: relation, target: .version(version))
        }
        public static func createRevision(
            of key: [UInt8], _ relation: Relation, _ revision: Int64
        ) -> Self {
            Self(key: key, relation: relation, target: .createRevision(revision))
        }
        public static func modRevision(
            of key: [UInt8], _ relation: Relation, _ revision: Int64
        ) -> Self {
            Self(key: key, relation: relation, target: .modRevision(revision))
        }
        public static func value(of key: [UInt8], _ relation: Relation, _ value: [UInt8]) -> Self {
            Self(key: key, relation: relation, target: .value(value))
        }
        public static func lease(of key: [UInt8], _ relation: Relation, _ lease: Int64) -> Self {
            Self(key: key, relation: relation, target: .lease(lease))
        }
    }

    public indirect enum Operation: Hashable, Sendable {
        case get(KeySelection, GetOptions = GetOptions())
        case put(key: [UInt8], value: [UInt8])
        case delete(KeySelection)
        case transaction(Transaction)
    }

    public var conditions: [Condition]
    public var success: [Operation]
    public var failure: [Operation]

    public init(
        if conditions: [Condition] = [], then success: [Operation] = [],
        else failure: [Operation] = []
    ) {
        self.conditions = conditions
        self.success = success
        self.failure = failure
    }
}

public struct TransactionResult: Hashable, Sendable {
    public indirect enum OperationResult: Hashable, Sendable {
        case get(GetResult)
        case put(PutResult)
        case delete(DeleteResult)
        case transaction(TransactionResult)
    }
    /// Whether all conditions held.
    public var succeeded: Bool
    public var revision: Int64
    public var results: [OperationResult]
}
