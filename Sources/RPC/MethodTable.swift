/// The methods of a server by path, and what to say when there is none.
struct MethodTable: Sendable {
    private let methods: [String: RPCMethod]
    private let services: Set<String>

    init(_ methods: [String: RPCMethod]) {
        for path in methods.keys {
            precondition(
                Self.split(path) != nil, "\(path) is not of the form /package.Service/Method")
        }
        self.methods = methods
        services = Set(methods.keys.compactMap { Self.split($0)?.service })
    }

    subscript(path: String) -> RPCMethod? { methods[path] }

    var serviceNames: Set<String> { services }

    /// UNIMPLEMENTED, naming what is unknown.
    func unknown(_ path: String) -> RPCStatus {
        guard let (service, method) = Self.split(path) else {
            return RPCStatus(.unimplemented, "malformed method name: \(path)")
        }
        return services.contains(service)
            ? RPCStatus(.unimplemented, "unknown method \(method) for service \(service)")
            : RPCStatus(.unimplemented, "unknown service \(service)")
    }

    private static func split(_ path: String) -> (service: String, method: String)? {
        guard path.first == "/", let slash = path.lastIndex(of: "/"), slash != path.startIndex
        else {
            return nil
        }
        return (
            String(path[path.index(after: path.startIndex)..<slash]),
            String(path[path.index(after: slash)...])
        )
    }
}
