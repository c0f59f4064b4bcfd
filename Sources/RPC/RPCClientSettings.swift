/// The limits of a client connection.
package struct RPCClientSettings: Sendable {
    /// Largest response message in bytes. A larger one ends its call with RESOURCE_EXHAUSTED.
    package var responseBytesMax = 256 << 20
    /// Calls open at once, when the server allows more.
    package var concurrentCallsMax = 4096
    /// Calls that wait for a connection or for the server's limit on streams. One more fails with
    /// RESOURCE_EXHAUSTED, not sent.
    package var queuedCallsMax = 16_384
    /// Flow-control window of each stream. A stream's messages that have not been consumed yet
    /// take about twice this, plus one message.
    package var streamWindowBytes = 1 << 20
    package var connectionWindowBytes = 16 << 20
    /// Largest DATA frame taken (SETTINGS_MAX_FRAME_SIZE).
    package var frameBytesMax = 64 << 10
    /// Bytes of an answer's header block, decoded (SETTINGS_MAX_HEADER_LIST_SIZE).
    package var headerListBytesMax = 64 << 10
    /// PING and SETTINGS frames, and as many RST_STREAM, taken from the server in a second; one
    /// more closes the connection.
    package var serverFramesMax = 8192
    /// How long TCP's connect and then the server's first frame may take.
    package var connectTimeout: Duration = .seconds(5)
    /// A connection with open calls and no frame from the server for this long is sent a PING…
    package var keepaliveInterval: Duration = .seconds(10)
    /// …and closed when nothing comes within this time after it: its calls end with UNAVAILABLE.
    package var keepaliveTimeout: Duration = .seconds(5)

    package init() {}
}
