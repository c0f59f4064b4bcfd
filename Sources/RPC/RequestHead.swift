import NIOCore
import NIOHPACK

/// What the server needs of a request's header block.
struct RequestHead {
    var path: String
    var timeout: TimeAmount?

    enum Failure: Error {
        /// Not a gRPC request: plain HTTP knows how to say so.
        case httpStatus(String)
        case status(RPCStatus)
    }

    /// Checks method, content type and encoding (gRPC over HTTP/2, "Requests"). HTTP/2 has checked
    /// the form of the block.
    static func parse(_ headers: HPACKHeaders) -> Result<RequestHead, Failure> {
        var path: String?
        var isPost = false
        var isGRPC = false
        var encoding: String?
        var timeoutText: String?
        for (name, value, _) in headers {
            switch name {
            case ":path": path = value
            case ":method": isPost = value == "POST"
            case "content-type": isGRPC = GRPCWire.isGRPCContentType(value)
            case "grpc-timeout": timeoutText = value
            case "grpc-encoding": encoding = value
            default: break
            }
        }
        guard isPost else { return .failure(.httpStatus("405")) }
        guard isGRPC else { return .failure(.httpStatus("415")) }
        guard let path else { return .failure(.httpStatus("400")) }
        if let encoding, encoding != "identity" {
            return .failure(
                .status(
                    RPCStatus(.unimplemented, "grpc-encoding \(encoding) is not supported")))
        }
        var timeout: TimeAmount?
        if let timeoutText {
            guard let amount = GRPCWire.parseTimeout(timeoutText) else {
                return .failure(
                    .status(RPCStatus(.internalError, "malformed grpc-timeout: \(timeoutText)")))
            }
            guard amount.nanoseconds > 0 else {
                return .failure(.status(RPCStatus(.deadlineExceeded, "deadline exceeded")))
            }
            timeout = amount
        }
        return .success(RequestHead(path: path, timeout: timeout))
    }
}
