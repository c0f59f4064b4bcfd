import Foundation

/// A process of this very program.
enum Child {
    enum Ending: Hashable {
        case exited(Int32)
        /// It said nothing for too long, and was ended.
        case silent
    }

    /// Seconds for which a child may say nothing. It says when it begins a run and when it has ended
    /// one: a run that takes so long is taken for one that does not end.
    static let silentSecondsMax = 150.0

    static func run(
        _ arguments: [String], silentSecondsMax: Double = silentSecondsMax,
        started: (Process) -> Void = { _ in }, line: (String) -> Void
    ) -> Ending {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        do {
            try process.run()
        } catch {
            line("simulate: no child process: \(error)")
            return .exited(-1)
        }
        started(process)
        let watch = Watch(process, secondsMax: silentSecondsMax)
        var rest = Data()
        while true {
            let data = output.fileHandleForReading.availableData
            if data.isEmpty { break }
            watch.heard()
            rest.append(data)
            while let end = rest.firstIndex(of: 0x0A) {
                line(String(decoding: rest[rest.startIndex..<end], as: UTF8.self))
                rest = Data(rest[(end + 1)...])
            }
        }
        process.waitUntilExit()
        return watch.stop() ? .silent : .exited(process.terminationStatus)
    }
}

/// Ends a child that is not heard of for too long.
private final class Watch: @unchecked Sendable {
    private let child: Process
    private let secondsMax: Double
    private let lock = NSLock()
    // Under the lock.
    private var deadline: Date
    private var isOver = false
    private var hasFired = false

    init(_ child: Process, secondsMax: Double) {
        self.child = child
        self.secondsMax = secondsMax
        deadline = Date().addingTimeInterval(secondsMax)
        Thread.detachNewThread { [self] in
            while lock.withLock({ !isOver && Date() < deadline }) {
                Thread.sleep(forTimeInterval: 0.25)
            }
            lock.withLock {
                if isOver { return }
                hasFired = true
                // It may be caught in a loop, but it catches no signals.
                child.terminate()
            }
        }
    }

    func heard() {
        lock.withLock { deadline = Date().addingTimeInterval(secondsMax) }
    }

    /// - Returns: whether the child was ended.
    func stop() -> Bool {
        lock.withLock {
            isOver = true
            return hasFired
        }
    }
}

/// What a process says when it ends against its will, from the lines that it wrote.
struct LastWords {
    /// The first line that names the error.
    private var message: String?
    /// The first function of ours in a backtrace.
    private var place: String?

    mutating func heard(_ line: String) {
        if message == nil,
            ["Fatal error", "Precondition failed", "Program crashed"].contains(
                where: line.contains)
        {
            message = line.trimmingCharacters(in: .whitespaces)
        }
        if place == nil { place = Self.place(ofCrash: line) }
    }

    /// One line.
    func text(_ ending: Child.Ending) -> String {
        switch ending {
        case .silent: return "the run does not end"
        case .exited(let status):
            let words = [message, place.map { "crash in \($0)" }].compactMap(\.self)
            return (["the process ended with status \(status)"] + words).joined(separator: ": ")
                .replacingOccurrences(of: "\t", with: " ")
        }
    }

    /// `1 ... 0x... in FUNCTION in simulate at Sources/...`: the function.
    static func place(ofCrash line: String) -> String? {
        guard let end = line.range(of: " in simulate at Sources/"),
            let start = line.range(of: "0x")
        else { return nil }
        let words = line[start.lowerBound..<end.lowerBound].split(separator: " ").dropFirst()
        return words.joined(separator: " ")
    }
}

/// Ways in which a child can be made to go wrong itself, so that a test sees what is said of it.
enum Stumble: String {
    case crash
    case hang

    func happen() {
        switch self {
        case .crash: fatalError("a crash that was asked for")
        case .hang: while true { Thread.sleep(forTimeInterval: 1) }
        }
    }
}
