/// Why a call failed, and what may be done about it.
public struct SpineError: Error, Sendable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// Certainly not done, at none of the endpoints: no one could be reached, or none would
        /// take the request now. It may be tried again.
        case unavailable
        /// A write that was sent and not answered: it may have been applied, or may be yet. It was
        /// not tried again. Read to find out, or write with a condition that makes a repetition
        /// harmless.
        case outcomeUnknown
        /// The server understood and refused; the same request will be refused again.
        case refused
        /// What the caller gave cannot be sent.
        case invalidArgument
        /// The server's answer cannot be understood.
        case protocolViolation
    }

    public var code: Code
    /// For people; for `refused` it is the server's own text, such as etcd's
    /// "etcdserver: mvcc: required revision has been compacted".
    public var message: String
    /// gRPC's status code, where a server gave one.
    public var grpcStatus: Int?
    /// The endpoint that was asked last.
    public var endpoint: String?

    public init(
        code: Code, message: String, grpcStatus: Int? = nil, endpoint: String? = nil
    ) {
        self.code = code
        self.message = message
        self.grpcStatus = grpcStatus
        self.endpoint = endpoint
    }

    public var description: String {
        let place = endpoint.map { " (\($0))" } ?? ""
        return "\(message)\(place)"
    }
}
