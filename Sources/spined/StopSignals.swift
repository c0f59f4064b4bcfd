import Dispatch
import Glibc

/// SIGTERM and SIGINT as an event instead of a death. SIGPIPE is ignored: a write to a client that
/// has gone is an error of that write.
final class StopSignals {
    private let signals: AsyncStream<Int32>
    private let sources: [any DispatchSourceSignal]

    init() {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
        signals = stream
        signal(SIGPIPE, SIG_IGN)
        sources = [SIGTERM, SIGINT].map { number in
            // The source sees the signal only when its default action is off.
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(
                signal: number, queue: .global(qos: .userInitiated))
            source.setEventHandler { continuation.yield(number) }
            source.resume()
            return source
        }
    }

    /// The first of them to come.
    func next() async -> Int32 {
        for await number in signals { return number }
        return SIGTERM
    }
}
