import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle

/// The HTTP application that serves FHIR at `/fhir`.
///
/// - Parameter newID: ids of resources that the server names; each a valid FHIR id, never the same
///   twice.
package func makeFHIRApplication(
    service: any RecordService, settings: FHIRServerSettings, logger: Logger,
    newID: @escaping @Sendable () -> String,
    onServerRunning: @escaping @Sendable (any Channel) async -> Void = { _ in }
) -> some ApplicationProtocol {
    let limits = settings.limits
    let responder = FHIRResponder(
        service: FHIRService(records: service, settings: settings, newID: newID),
        gate: AdmissionGate(
            capacity: limits.admittedBytesMax, waitersMax: limits.waitingRequestsMax))
    return Application(
        responder: responder,
        server: .http1(
            configuration: .init(idleTimeout: .seconds(Int64(limits.idleTimeoutSeconds)))),
        configuration: ApplicationConfiguration(
            address: .hostname(settings.host, port: settings.port),
            availableConnectionsDelegate: MaximumAvailableConnections(limits.connectionsMax)),
        onServerRunning: onServerRunning, logger: logger)
}

/// A version 4 UUID (RFC 9562), which is a FHIR id.
@Sendable package func randomResourceID() -> String {
    let high = UInt64.random(in: 0 ... .max) & ~0xF000 | 0x4000
    let low = UInt64.random(in: 0 ... .max) & ~(0b11 << 62) | 0b10 << 62
    let digits = [high, low].map { value in
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }.joined()
    var id = ""
    for (index, digit) in digits.enumerated() {
        if [8, 12, 16, 20].contains(index) { id.append("-") }
        id.append(digit)
    }
    return id
}

/// The FHIR server as a program runs it: started once, stopped once.
package actor FHIRHTTPServer {
    private enum State {
        case initial
        case running(ServiceGroup, Task<Void, any Error>)
        case stopped
    }

    private let service: any RecordService
    private let settings: FHIRServerSettings
    private let logger: Logger
    private let newID: @Sendable () -> String
    private var state = State.initial

    package init(
        service: any RecordService, settings: FHIRServerSettings, logger: Logger,
        newID: @escaping @Sendable () -> String = randomResourceID
    ) {
        self.service = service
        self.settings = settings
        self.logger = logger
        self.newID = newID
    }

    /// Listens. Throws what stood in the way, such as a port in use.
    ///
    /// - Returns: the port it listens on.
    package func start() async throws -> Int {
        guard case .initial = state else { preconditionFailure("a FHIR server started twice") }
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        let application = makeFHIRApplication(
            service: service, settings: settings, logger: logger, newID: newID
        ) { channel in
            continuation.yield(channel.localAddress?.port ?? 0)
        }
        var configuration = ServiceGroupConfiguration(services: [application], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(settings.limits.stopSecondsMax)
        let group = ServiceGroup(configuration: configuration)
        let task = Task {
            defer { continuation.finish() }
            try await group.run()
        }
        state = .running(group, task)
        for await port in ports { return port }
        state = .stopped
        try await task.value
        throw CancellationError()
    }

    /// Takes no further requests and lets those under way finish, for `stopSecondsMax` at most.
    package func stop() async {
        guard case .running(let group, let task) = state else { return }
        state = .stopped
        await group.triggerGracefulShutdown()
        do {
            try await task.value
        } catch {
            logger.error("fhir server ended with an error", metadata: ["error": "\(error)"])
        }
    }
}
