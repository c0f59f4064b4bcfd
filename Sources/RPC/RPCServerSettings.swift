/// The limits of a server. Each bounds memory or work that one client can cause.
package struct RPCServerSettings: Sendable {
    /// Largest request message in bytes. A larger one ends its call with RESOURCE_EXHAUSTED.
    package var requestBytesMax = 16 << 20
    /// Calls open at once on a connection (SETTINGS_MAX_CONCURRENT_STREAMS). Clients queue what
    /// goes beyond; one that does not breaks its connection (PROTOCOL_ERROR).
    package var concurrentStreamsMax = 4096
    /// Flow-control window of each stream: request bytes under way before the server has read.
    package var streamWindowBytes = 1 << 20
    /// Flow-control window of a connection.
    package var connectionWindowBytes = 16 << 20
    /// Bytes of requests that are not whole yet, over all streams of a connection. The stream that
    /// exceeds it ends with RESOURCE_EXHAUSTED.
    package var partialRequestBytesMax = 64 << 20
    /// Bytes of a request's header block, decoded (SETTINGS_MAX_HEADER_LIST_SIZE). A larger one is
    /// a connection error.
    package var headerListBytesMax = 64 << 10
    /// Largest DATA frame taken (SETTINGS_MAX_FRAME_SIZE).
    package var frameBytesMax = 64 << 10
    /// DATA frames without a byte, in a row on a connection, before it is closed.
    package var emptyDataFramesMax = 100
    /// Frames other than DATA and HEADERS that wait for a full socket before the connection is
    /// closed.
    package var bufferedControlFramesMax = 10_000
    /// Response bytes of one stream that wait for the client to read, above which `isWritable` is
    /// false…
    package var streamOutboundBytesHigh = 1 << 20
    /// …until they have fallen to this.
    package var streamOutboundBytesLow = 256 << 10
    /// A stream whose handler writes on regardless is reset when this many bytes wait. One message
    /// may be larger: it is taken when nothing else waits.
    package var streamOutboundBytesMax = 64 << 20
    /// Response bytes of a connection that wait for the client to read, above which new calls are
    /// refused (REFUSED_STREAM: certainly not processed)…
    package var connectionOutboundBytesHigh = 64 << 20
    /// …and at which the connection is closed.
    package var connectionOutboundBytesMax = 256 << 20
    /// A connection above `connectionOutboundBytesHigh` from which no byte has left for this long
    /// is closed.
    package var outboundStallTimeout: Duration = .seconds(60)
    /// RST_STREAM frames taken within `resetFrameWindow`; one more closes the connection
    /// (CVE-2023-44487, "rapid reset"). Room for two cancellations of every open stream.
    package var resetFramesMax = 8192
    package var resetFrameWindow: Duration = .seconds(5)
    /// PING, SETTINGS and PRIORITY frames taken within `controlFrameWindow`; one more closes the
    /// connection. grpc-go and grpc-core send a PING with nearly every answer they read, to
    /// estimate the bandwidth, so this must allow as many frames as round trips.
    package var controlFramesMax = 8192
    package var controlFrameWindow: Duration = .milliseconds(100)
    /// Malformed streams (bad headers, data after the end) taken in a connection's life before it
    /// is closed.
    package var malformedStreamsMax = 1000
    /// A connection with no frame from the client for this long is sent a PING…
    package var keepaliveInterval: Duration = .seconds(120)
    /// …and closed when nothing comes within this time after it.
    package var keepaliveTimeout: Duration = .seconds(20)
    /// A connection that has not said whether it speaks HTTP/2 or HTTP/1.1 by then is closed.
    package var protocolDetectionTimeout: Duration = .seconds(10)
    /// Open connections. One more is closed as soon as it is accepted.
    package var connectionsMax = 10_000
    /// Largest HTTP/1.1 request body in bytes; a larger one is answered with 413.
    package var http1BodyBytesMax = 1 << 20
    /// An idle HTTP/1.1 connection is closed after this.
    package var http1IdleTimeout: Duration = .seconds(60)

    package init() {}
}
