/// The seventeen status codes of gRPC (grpc.io, "Status codes and their use in gRPC").
package enum RPCStatusCode: Int, Sendable, CaseIterable {
    case ok = 0
    case cancelled = 1
    case unknown = 2
    case invalidArgument = 3
    case deadlineExceeded = 4
    case notFound = 5
    case alreadyExists = 6
    case permissionDenied = 7
    case resourceExhausted = 8
    case failedPrecondition = 9
    case aborted = 10
    case outOfRange = 11
    case unimplemented = 12
    case internalError = 13
    case unavailable = 14
    case dataLoss = 15
    case unauthenticated = 16
}

/// How a call ended: a code for programs and a message for people.
package struct RPCStatus: Error, Hashable, Sendable, CustomStringConvertible {
    package var code: RPCStatusCode
    /// UTF-8 text; percent-encoded on the wire (gRPC over HTTP/2, "Responses").
    package var message: String

    package init(_ code: RPCStatusCode, _ message: String = "") {
        self.code = code
        self.message = message
    }

    package static let ok = RPCStatus(.ok)

    package var description: String {
        message.isEmpty ? "\(code)" : "\(code): \(message)"
    }
}
