import NIOCore

/// A whole HTTP/1.1 request.
package struct HTTP1Request: Sendable {
    /// `GET`, `POST`, … in capitals.
    package var method: String
    /// The path, without the query, as it was sent (percent-encoded).
    package var path: String
    /// What follows `?`, as it was sent; nil without `?`.
    package var query: String?
    package var headers: [(name: String, value: String)]
    package var body: ByteBuffer

    package init(
        method: String, path: String, query: String? = nil,
        headers: [(name: String, value: String)] = [], body: ByteBuffer = ByteBuffer()
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
    }

    /// The first value of a header, whatever the case of its name.
    package func header(_ name: String) -> String? {
        let wanted = name.lowercased()
        return headers.first { $0.name.lowercased() == wanted }?.value
    }
}

/// A whole HTTP/1.1 response. `content-length`, `connection` and `date` need not be given.
package struct HTTP1Response: Sendable {
    package var status: Int
    package var headers: [(name: String, value: String)]
    package var body: ByteBuffer

    package init(
        status: Int, headers: [(name: String, value: String)] = [], body: ByteBuffer = ByteBuffer()
    ) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    package init(status: Int, contentType: String, _ text: String) {
        self.init(
            status: status, headers: [("content-type", contentType)], body: ByteBuffer(string: text)
        )
    }
}

/// Answers an HTTP/1.1 request. Called on the connection's event loop, so it must not block.
/// `respond` may be called from any thread, once; a second call is ignored.
package typealias HTTP1Handler =
    @Sendable (
        _ request: HTTP1Request, _ respond: @escaping @Sendable (HTTP1Response) -> Void
    ) -> Void
