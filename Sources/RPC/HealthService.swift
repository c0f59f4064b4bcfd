import NIOCore
import Synchronization

/// `grpc.health.v1.Health/Check` (grpc/grpc `doc/health-checking.md`). Its two messages have one
/// field each and are written by hand.
final class HealthService: Sendable {
    static let checkPath = "/grpc.health.v1.Health/Check"

    private enum ServingStatus: UInt8 {
        case serving = 1
        case notServing = 2
    }

    private let statuses: Mutex<[String: ServingStatus]>

    /// Every service and the whole server, under the empty name, serve from the start.
    init(services: Set<String>) {
        var statuses: [String: ServingStatus] = ["": .serving]
        for service in services { statuses[service] = .serving }
        self.statuses = Mutex(statuses)
    }

    func set(_ service: String, serving: Bool) {
        statuses.withLock { $0[service] = serving ? .serving : .notServing }
    }

    func setAll(serving: Bool) {
        statuses.withLock { statuses in
            for service in statuses.keys { statuses[service] = serving ? .serving : .notServing }
        }
    }

    func check(_ message: ByteBuffer, _ context: RPCCallContext, _ reply: RPCReply) {
        guard let service = Self.service(in: message) else {
            return reply.fail(RPCStatus(.internalError, "malformed HealthCheckRequest"))
        }
        guard let status = statuses.withLock({ $0[service] }) else {
            return reply.fail(RPCStatus(.notFound, "unknown service \(service)"))
        }
        // Field 1, a varint.
        reply.succeed(ByteBuffer(bytes: [0x08, status.rawValue]))
    }

    /// Field 1 of the request, a string; other fields are skipped. Nil when malformed.
    private static func service(in message: ByteBuffer) -> String? {
        var message = message
        var service = ""
        while message.readableBytes > 0 {
            guard let tag = message.readVarint() else { return nil }
            switch tag & 7 {
            case 0:
                guard message.readVarint() != nil else { return nil }
            case 1:
                guard message.readSlice(length: 8) != nil else { return nil }
            case 2:
                guard let count = message.readVarint(), count <= message.readableBytes,
                    let text = message.readString(length: Int(count))
                else { return nil }
                if tag >> 3 == 1 { service = text }
            case 5:
                guard message.readSlice(length: 4) != nil else { return nil }
            default:
                return nil
            }
        }
        return service
    }
}

extension ByteBuffer {
    /// A base-128 varint of at most ten bytes.
    fileprivate mutating func readVarint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            guard let byte = readInteger(as: UInt8.self) else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }
}
