import FHIRCore
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// HTTP's side of the FHIR service: content negotiation, bodies, headers and status codes (FHIR R4
/// "RESTful API"). Paths outside `/fhir` are 404.
struct FHIRResponder: HTTPResponder {
    typealias Context = BasicRequestContext

    static let mount = "fhir"

    let service: FHIRService
    let gate: AdmissionGate

    private var limits: FHIRLimits { service.limits }

    func respond(to request: Request, context: Context) async throws -> Response {
        var response = Response(status: .internalServerError)
        let head = RequestHead(request.head, baseURL: service.settings.baseURL)
        let isAdmitted = await gate.withAdmission(weight: weight(of: request)) {
            do throws(FHIRFailure) {
                response = try await answer(head, request.body)
            } catch {
                response = head.response(error)
            }
        }
        if !isAdmitted {
            response = head.response(
                FHIRFailure(
                    503, .throttled,
                    "Not done: more than \(limits.waitingRequestsMax) requests are waiting",
                    retryAfterSeconds: 1))
        }
        context.logger.debug(
            "fhir request",
            metadata: [
                "method": "\(request.method.rawValue)", "type": "\(head.typeName)",
                "status": "\(response.status.code)",
            ])
        return response
    }

    /// What the request may come to hold in memory.
    private func weight(of request: Request) -> Int {
        let minimum = limits.requestBytesMin
        if let length = request.headers[.contentLength].flatMap({ Int($0) }) {
            return max(minimum, min(length, limits.bodyBytesMax))
        }
        return request.headers[.transferEncoding] == nil ? minimum : limits.bodyBytesMax
    }

    private func answer(
        _ head: RequestHead, _ body: RequestBody
    ) async throws(FHIRFailure) -> Response {
        let target = try head.target()
        try head.checkFormat(target.query)
        guard target.path.first == Self.mount else {
            throw FHIRFailure(404, .notFound, "The FHIR service is at /\(Self.mount)")
        }
        let route = try FHIRRoute(Array(target.path.dropFirst()))
        guard let method = head.method, route.allowedMethods.contains(method) else {
            throw route.methodFailure(head.methodName)
        }
        var request = FHIRRequest(
            method: method, route: route, query: target.query, base: head.base)
        request.ifMatch = head.fields[.ifMatch]
        request.ifNoneMatch = head.fields[.ifNoneMatch]
        request.ifNoneExist = head.fields[.ifNoneExist]
        request.prefer = Preferences(header: head.fields[.prefer] ?? "")
        if method == .post || method == .put {
            request.body = try await content(route, head, body)
        }
        let answer = try await service.perform(request)
        return head.response(answer, isPretty: target.isPretty)
    }

    private func content(
        _ route: FHIRRoute, _ head: RequestHead, _ body: RequestBody
    ) async throws(FHIRFailure) -> FHIRRequest.Body {
        let isForm: Bool
        if case .typeSearch = route { isForm = true } else { isForm = false }
        try head.checkContentType(isForm: isForm)
        let bytes = try await collect(body)
        if isForm {
            return .form(try RequestTarget.items(String(decoding: bytes, as: UTF8.self)))
        }
        do {
            return .json(try JSONParser.parse(bytes))
        } catch {
            throw FHIRFailure(400, .structure, "Not JSON: \(error)")
        }
    }

    private func collect(_ body: RequestBody) async throws(FHIRFailure) -> ByteBufferView {
        do {
            let bytes = try await BodyCollection.collect(
                body, upTo: limits.bodyBytesMax, within: .seconds(limits.bodySecondsMax))
            return bytes.readableBytesView
        } catch is NIOTooManyBytesError {
            throw FHIRFailure(
                413, .tooLong, "The body is larger than \(limits.bodyBytesMax) bytes")
        } catch is BodyCollection.TooSlow {
            throw FHIRFailure(
                408, .timeout, "The body took longer than \(limits.bodySecondsMax) seconds")
        } catch {
            throw FHIRFailure(400, .incomplete, "The body ended early")
        }
    }
}

enum BodyCollection {
    struct TooSlow: Error {}

    /// The whole body. A client that sends slowly must not hold its admission for ever.
    static func collect(
        _ body: RequestBody, upTo bytesMax: Int, within time: Duration
    ) async throws -> ByteBuffer {
        try await withThrowingTaskGroup(of: ByteBuffer?.self) { group in
            group.addTask { try await body.collect(upTo: bytesMax) }
            group.addTask {
                try await Task.sleep(for: time)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let bytes = first else { throw TooSlow() }
            return bytes
        }
    }
}
