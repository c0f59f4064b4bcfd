import FHIRCore
import RecordModel

/// Why a request is not answered as asked: an HTTP status and what its OperationOutcome says.
/// Diagnostics name ids, parameters and places, never contents of a resource.
package struct FHIRFailure: Error, Sendable {
    /// `http://hl7.org/fhir/issue-type`, those that are used here.
    package enum IssueCode: String, Sendable {
        case invalid, structure, required, value, processing, duplicate, deleted, conflict
        case exception, timeout, throttled, transient, incomplete
        case notSupported = "not-supported"
        case notFound = "not-found"
        case multipleMatches = "multiple-matches"
        case tooLong = "too-long"
        case tooCostly = "too-costly"
        case businessRule = "business-rule"
    }

    package var status: Int
    package var code: IssueCode
    package var diagnostics: String
    /// FHIRPath of the element that it is about.
    package var expression: String?
    /// The version that a 410 tells of.
    package var version: Revision?
    /// Methods that a 405 names.
    package var allow: [String] = []
    package var retryAfterSeconds: Int?

    package init(
        _ status: Int, _ code: IssueCode, _ diagnostics: String, expression: String? = nil,
        version: Revision? = nil, allow: [String] = [], retryAfterSeconds: Int? = nil
    ) {
        self.status = status
        self.code = code
        self.diagnostics = diagnostics
        self.expression = expression
        self.version = version
        self.allow = allow
        self.retryAfterSeconds = retryAfterSeconds
    }

    package init(_ error: RecordServiceError) {
        switch error {
        case .unavailable(let reason):
            self.init(
                503, .transient, "Not done, try again later: \(reason)", retryAfterSeconds: 1)
        case .outcomeUnknown(let reason):
            self.init(
                504, .timeout,
                "The outcome is unknown: the write may or may not have been applied (\(reason)). "
                    + "Read the resource before writing again.")
        case .tooLarge(let bytes, let limit):
            self.init(
                413, .tooLong, "Not done: \(bytes) bytes to write, the limit is \(limit)")
        case .refused(.restoring):
            self.init(
                503, .transient, "Not done: a recovery point is being restored",
                retryAfterSeconds: 10)
        case .refused(let refusal):
            self.init(500, .exception, "Refused by the record store: \(refusal)")
        }
    }

    package init(_ error: SearchParameterError) {
        switch error {
        case .unknown, .unsupportedModifier, .unsupportedPrefix:
            self.init(400, .notSupported, error.explanation)
        case .invalidValue: self.init(400, .value, error.explanation)
        case .tooManyValues: self.init(400, .tooCostly, error.explanation)
        }
    }

    /// The same, told of one entry of a bundle.
    func at(entry index: Int) -> FHIRFailure {
        var failure = self
        failure.diagnostics = "Entry \(index): \(diagnostics)"
        failure.expression = "Bundle.entry[\(index)]"
        return failure
    }

    package var operationOutcome: JSONValue {
        var issue = JSONObject([
            "severity": "error", "code": .string(code.rawValue),
            "diagnostics": .string(diagnostics),
        ])
        if let expression { issue["expression"] = [.string(expression)] }
        return ["resourceType": "OperationOutcome", "issue": [.object(issue)]]
    }
}
