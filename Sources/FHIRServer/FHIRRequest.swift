import FHIRCore
import RecordModel

/// A request to the FHIR service, whether it came by HTTP or as an entry of a batch.
struct FHIRRequest: Sendable {
    enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case delete = "DELETE"
    }

    enum Body: Sendable {
        case none
        case json(JSONValue)
        /// Of `_search`.
        case form([QueryItem])
    }

    var method: Method
    var route: FHIRRoute
    var query: [QueryItem] = []
    var ifMatch: String?
    var ifNoneMatch: String?
    var ifNoneExist: String?
    var prefer = Preferences()
    var body: Body = .none
    /// What full URLs start with, without a slash at the end.
    var base: String

    /// The resource of the body.
    func resource() throws(FHIRFailure) -> JSONValue {
        if case .json(let value) = body { return value }
        throw FHIRFailure(400, .required, "\(method.rawValue) needs a resource")
    }
}

/// The `Prefer` header (FHIR R4 "RESTful API", "Prefer").
struct Preferences: Sendable {
    enum Returning: Sendable { case minimal, representation, operationOutcome }

    /// nil: the client didn't say.
    var returning: Returning?
    /// `handling=strict`: unknown search parameters are refused instead of ignored.
    var isStrict = false

    init() {}

    init(header: String) {
        for part in header.split(whereSeparator: { $0 == "," || $0 == ";" }) {
            switch part.filter({ $0 != " " && $0 != "\"" }) {
            case "return=minimal": returning = .minimal
            case "return=representation": returning = .representation
            case "return=OperationOutcome": returning = .operationOutcome
            case "handling=strict": isStrict = true
            case "handling=lenient": isStrict = false
            default: break
            }
        }
    }
}

/// An ETag of this server: `W/"17"`, a version of a resource. `"17"` is taken for the same.
enum EntityTag {
    static func text(_ version: Revision) -> String { "W/\"\(version)\"" }

    static func parse(_ text: String) -> Revision? {
        var rest = text[...]
        if rest.hasPrefix("W/") { rest = rest.dropFirst(2) }
        guard rest.count >= 3, rest.hasPrefix("\""), rest.hasSuffix("\"") else { return nil }
        return version(rest.dropFirst().dropLast())
    }

    /// A versionId: the decimal digits of a revision, as this server writes them.
    static func version(_ text: some StringProtocol) -> Revision? {
        guard let number = Int64(text), number > 0, String(number) == String(text) else {
            return nil
        }
        return Revision(number)
    }
}

/// What must be true of the present version for a write to happen.
enum Precondition: Hashable, Sendable {
    case none
    case version(Revision)
    case exists
    case absent

    init(_ request: FHIRRequest) throws(FHIRFailure) {
        try self.init(ifMatch: request.ifMatch, ifNoneMatch: request.ifNoneMatch)
    }

    init(ifMatch: String?, ifNoneMatch: String?) throws(FHIRFailure) {
        switch (ifMatch, ifNoneMatch) {
        case (nil, nil): self = .none
        case ("*", nil): self = .exists
        case (nil, "*"): self = .absent
        case (let tag?, nil):
            guard let version = EntityTag.parse(tag) else {
                throw FHIRFailure(400, .value, "If-Match takes one ETag such as W/\"17\", or *")
            }
            self = .version(version)
        default:
            throw FHIRFailure(
                400, .notSupported, "Of a write only If-Match, or If-None-Match: *, is supported")
        }
    }

    func compares(_ key: [UInt8]) -> [Compare] {
        switch self {
        case .none: []
        case .version(let version):
            [Compare(range: .key(key), relation: .equal, target: .modRevision(version))]
        case .exists:
            [Compare(range: .key(key), relation: .greater, target: .createRevision(.none))]
        case .absent:
            [Compare(range: .key(key), relation: .equal, target: .createRevision(.none))]
        }
    }

    func isMet(by record: Record?) -> Bool {
        switch self {
        case .none: true
        case .version(let version): record?.modRevision == version
        case .exists: record != nil
        case .absent: record == nil
        }
    }

    func failure(_ type: String, _ id: String) -> FHIRFailure {
        switch self {
        case .absent: FHIRFailure(412, .conflict, "\(type)/\(id) exists already")
        default:
            FHIRFailure(412, .conflict, "\(type)/\(id) is not at the version that was asked for")
        }
    }
}
