import NIOHPACK
import NIOHTTP2

/// What a client reads from the header blocks of an answer (gRPC over HTTP/2, "Responses").
enum ResponseHead {
    enum Parsed {
        /// A 1xx block: the real one follows.
        case informational
        case response
        case failure(RPCStatus)
    }

    static func parse(_ headers: HPACKHeaders) -> Parsed {
        var httpStatus = ""
        var contentType = ""
        for (name, value, _) in headers {
            switch name {
            case ":status": httpStatus = value
            case "content-type": contentType = value
            case "grpc-encoding" where value != "identity":
                return .failure(
                    RPCStatus(.internalError, "grpc-encoding \(value) is not supported"))
            default: break
            }
        }
        if httpStatus.hasPrefix("1") { return .informational }
        guard httpStatus == "200" else { return .failure(status(http: httpStatus)) }
        guard GRPCWire.isGRPCContentType(contentType) else {
            return .failure(RPCStatus(.unknown, "content-type \(contentType) is not gRPC"))
        }
        return .response
    }

    /// The status in trailers, or in a block that is headers and trailers in one.
    static func finalStatus(_ headers: HPACKHeaders, isOnlyBlock: Bool) -> RPCStatus {
        guard let text = headers.first(name: "grpc-status") else {
            if isOnlyBlock, case .failure(let status) = parse(headers) { return status }
            return RPCStatus(.unknown, "the answer has no grpc-status")
        }
        guard let number = Int(text), let code = RPCStatusCode(rawValue: number) else {
            return RPCStatus(.unknown, "unknown grpc-status \(text)")
        }
        let message = headers.first(name: "grpc-message").map(GRPCWire.percentDecode) ?? ""
        return RPCStatus(code, message)
    }

    /// grpc/grpc `doc/http-grpc-status-mapping.md`.
    private static func status(http: String) -> RPCStatus {
        let code: RPCStatusCode =
            switch http {
            case "400": .internalError
            case "401": .unauthenticated
            case "403": .permissionDenied
            case "404": .unimplemented
            case "429", "502", "503", "504": .unavailable
            default: .unknown
            }
        return RPCStatus(code, "HTTP status \(http)")
    }

    /// gRPC over HTTP/2, "Errors".
    static func status(reset code: HTTP2ErrorCode) -> RPCStatus {
        let grpc: RPCStatusCode =
            switch code {
            case .refusedStream: .unavailable
            case .cancel: .cancelled
            case .enhanceYourCalm: .resourceExhausted
            case .inadequateSecurity: .permissionDenied
            default: .internalError
            }
        return RPCStatus(grpc, "the server reset the stream (\(code))")
    }
}
