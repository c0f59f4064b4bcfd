/// Where the FHIR server listens and what it takes.
package struct FHIRServerSettings: Sendable {
    package var host: String
    /// 0: one that is free, which `FHIRHTTPServer.start` returns.
    package var port: Int
    /// Without a slash at the end, `https://fhir.example.org/fhir`; what full URLs in answers start
    /// with. nil: `http://`, the request's Host header, `/fhir`.
    package var baseURL: String?
    package var limits: FHIRLimits
    /// As the CapabilityStatement names it.
    package var softwareVersion: String

    package init(
        host: String = "127.0.0.1", port: Int = 0, baseURL: String? = nil,
        limits: FHIRLimits = FHIRLimits(), softwareVersion: String = "0.1.0"
    ) {
        self.host = host
        self.port = port
        self.baseURL = baseURL
        self.limits = limits
        self.softwareVersion = softwareVersion
    }
}

/// What bounds the work and memory of a request, and of all of them together. docs/fhir.md tells
/// clients about each.
package struct FHIRLimits: Sendable {
    /// A larger request body is 413.
    package var bodyBytesMax = 16 << 20
    /// Entries of one transaction or batch; more are 413.
    package var bundleEntriesMax = 10_000
    /// Entries of one batch that are worked on at a time.
    package var batchConcurrencyMax = 8
    /// Stored bytes that the entries of one batch may read together; further entries are 413.
    package var batchReadBytesMax = 64 << 20
    /// Entries of a search or history page when the client names no `_count`.
    package var pageEntriesDefault = 20
    /// A larger `_count` gets pages of this size.
    package var pageEntriesMax = 1_000
    /// Stored bytes after which a page ends early, with a link to the next.
    package var pageBytesMax = 16 << 20
    /// Search parameters of one search; more are 400.
    package var searchClausesMax = 20
    /// Conditional references of one transaction, each a search; more are 413.
    package var conditionalReferencesMax = 1_000
    /// How often a write starts over because a record that it depends on was changed meanwhile;
    /// then it is 409.
    package var conflictRetriesMax = 5
    /// Bytes of all requests being worked on, a request without a body counting as
    /// `requestBytesMin`. Beyond, requests wait in the order of their arrival.
    package var admittedBytesMax = 64 << 20
    package var requestBytesMin = 64 << 10
    /// Requests that wait for admission; further ones are 503.
    package var waitingRequestsMax = 1_024
    /// Seconds that a client has to send a body once its request is worked on; then it is 408.
    package var bodySecondsMax = 60
    /// Further connections wait in the listen backlog.
    package var connectionsMax = 4_096
    /// Seconds without a byte after which a connection is closed.
    package var idleTimeoutSeconds = 60
    /// Seconds that requests under way have to finish when the server is stopped.
    package var stopSecondsMax = 10

    package init() {}
}
