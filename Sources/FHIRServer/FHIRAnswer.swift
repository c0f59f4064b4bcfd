import FHIRCore
import Primitives
import RecordModel

/// What an interaction gives, whether it goes out by HTTP or as an entry of a bundle.
struct FHIRAnswer: Sendable {
    var status: Int
    var version: Revision?
    var lastModified: HybridTimestamp?
    /// `Type/id/_history/version`, below the base.
    var location: String?
    var body: JSONValue?
    /// Stored bytes that were read for it, for `batchReadBytesMax`.
    var bytesRead = 0

    init(status: Int, body: JSONValue? = nil) {
        self.status = status
        self.body = body
    }
}

/// The phrases of the status codes that are used, for `Bundle.entry.response.status`.
enum StatusLine {
    static func text(_ status: Int) -> String {
        let phrase =
            switch status {
            case 200: "OK"
            case 201: "Created"
            case 204: "No Content"
            case 304: "Not Modified"
            case 400: "Bad Request"
            case 404: "Not Found"
            case 405: "Method Not Allowed"
            case 406: "Not Acceptable"
            case 409: "Conflict"
            case 410: "Gone"
            case 412: "Precondition Failed"
            case 413: "Content Too Large"
            case 415: "Unsupported Media Type"
            case 422: "Unprocessable Content"
            case 500: "Internal Server Error"
            case 503: "Service Unavailable"
            case 504: "Gateway Timeout"
            default: ""
            }
        return phrase.isEmpty ? String(status) : "\(status) \(phrase)"
    }
}
