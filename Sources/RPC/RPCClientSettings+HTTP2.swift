import NIOCore
import NIOHTTP2

extension RPCClientSettings {
    var connectionConfiguration: NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.initialSettings = [
            HTTP2Setting(parameter: .enablePush, value: 0),
            HTTP2Setting(parameter: .initialWindowSize, value: streamWindowBytes),
            HTTP2Setting(parameter: .maxHeaderListSize, value: headerListBytesMax),
            HTTP2Setting(parameter: .maxFrameSize, value: frameBytesMax),
        ]
        configuration.maximumRecentlyResetStreams = concurrentCallsMax
        configuration.targetWindowSize = connectionWindowBytes
        configuration.controlFrameRateLimit.maximumCount = serverFramesMax
        configuration.controlFrameRateLimit.windowLength = .seconds(1)
        return configuration
    }

    var streamConfiguration: NIOHTTP2Handler.StreamConfiguration {
        var configuration = NIOHTTP2Handler.StreamConfiguration()
        configuration.targetWindowSize = streamWindowBytes
        configuration.streamResetFrameRateLimit.maximumCount = serverFramesMax
        configuration.streamResetFrameRateLimit.windowLength = .seconds(1)
        return configuration
    }
}
