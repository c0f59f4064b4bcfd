/// Where a node is found.
struct Endpoint: Hashable, Sendable {
    var host: String
    var port: Int

    /// `host:port` or `http://host:port`.
    init(_ text: String) throws(SpineError) {
        var rest = text[...]
        if rest.hasPrefix("https://") {
            throw SpineError(
                code: .invalidArgument,
                message: "endpoint \(text): TLS is not there yet; use http://HOST:PORT")
        }
        if rest.hasPrefix("http://") { rest = rest.dropFirst("http://".count) }
        while rest.last == "/" { rest = rest.dropLast() }
        guard let colon = rest.lastIndex(of: ":"), colon != rest.startIndex,
            let port = Int(rest[rest.index(after: colon)...]), (1...65535).contains(port)
        else {
            throw SpineError(
                code: .invalidArgument, message: "endpoint \(text) must be HOST:PORT")
        }
        var host = rest[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        self.host = String(host)
        self.port = port
    }

    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
