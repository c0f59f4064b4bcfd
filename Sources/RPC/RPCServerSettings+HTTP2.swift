import NIOCore
import NIOHTTP2

extension RPCServerSettings {
    /// Stated in full: NIO's defaults (100 streams; a connection ends at 200 resets or 200 PINGs in
    /// 30 seconds) are below what ordinary gRPC clients do.
    var connectionConfiguration: NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: concurrentStreamsMax),
            HTTP2Setting(parameter: .initialWindowSize, value: streamWindowBytes),
            HTTP2Setting(parameter: .maxHeaderListSize, value: headerListBytesMax),
            HTTP2Setting(parameter: .maxFrameSize, value: frameBytesMax),
        ]
        configuration.maximumSequentialEmptyDataFrames = emptyDataFramesMax
        configuration.maximumBufferedControlFrames = bufferedControlFramesMax
        configuration.maximumRecentlyResetStreams = concurrentStreamsMax
        configuration.maximumConnectionGlitches = malformedStreamsMax
        configuration.targetWindowSize = connectionWindowBytes
        configuration.controlFrameRateLimit.maximumCount = controlFramesMax
        configuration.controlFrameRateLimit.windowLength = controlFrameWindow.timeAmount
        return configuration
    }

    var streamConfiguration: NIOHTTP2Handler.StreamConfiguration {
        var configuration = NIOHTTP2Handler.StreamConfiguration()
        configuration.targetWindowSize = streamWindowBytes
        configuration.streamResetFrameRateLimit.maximumCount = resetFramesMax
        configuration.streamResetFrameRateLimit.windowLength = resetFrameWindow.timeAmount
        configuration.streamErrorRateLimit.maximumCount = malformedStreamsMax
        configuration.streamErrorRateLimit.windowLength = resetFrameWindow.timeAmount
        return configuration
    }
}
