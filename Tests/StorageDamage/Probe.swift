import FailingFiles
import Foundation
import Primitives
import RocksDBEngine
import StorageEngine

/// Opens a damaged directory and reports what it meets, a line for each step. Runs in a process of
/// its own, because RocksDB may end it.
///
/// Contents are written as `Corpus.states` are, and besides: `?` a value that was never written,
/// `C`, `I`, `X` an error instead of a value, `-` not reached.
enum Probe {
    /// Seconds for one directory. Beyond, the process is ended by SIGALRM.
    static let secondsMax: UInt32 = 20

    /// - Parameter orders: one for each line of the standard input: `Order.line`.
    static func run() {
        while let line = readLine() {
            guard let order = Order(line: line) else { continue }
            alarm(secondsMax)
            emit("case \(order.number)")
            if let fault = order.fault, fault.call == .read { fault.set() }
            probe(order)
            failing_files_clear()
            emit("end")
        }
    }

    /// A line that is out before anything else happens.
    private static func emit(_ words: Any...) {
        print(words.map { "\($0)" }.joined(separator: " "))
        fflush(nil)
    }

    private static func probe(_ order: Order) {
        guard let engine = open(order.directory, "open") else { return }
        read(engine)
        if let fault = order.fault, fault.call == .sync { fault.set() }
        write(engine)
        failing_files_clear()
        try? engine.close()
        guard let next = open(order.directory, "reopen") else { return }
        contents("again", of: next)
        try? next.close()
    }

    private static func open(_ directory: String, _ step: String) -> RocksDBEngine? {
        do throws(StorageError) {
            let engine = try RocksDBEngine.open(directory: directory, settings: Corpus.settings)
            emit("\(step) ok")
            return engine
        } catch {
            emit("\(step) \(error.kind) \(error)")
            return nil
        }
    }

    private static func read(_ engine: RocksDBEngine) {
        emit(
            "persisted",
            text { number throws(StorageError) in
                try engine.persistedValue(for: Corpus.key(number))
            })
        guard let view = try? engine.makeReadView() else { return emit("view failed") }
        emit(
            "get",
            text { number throws(StorageError) in
                try view.value(for: Corpus.key(number))
            })
        contents("forward", of: engine)
        contents("backward", of: engine, forwards: false)
    }

    /// Small flushes over the whole range of keys until all tables have been merged.
    private static func write(_ engine: RocksDBEngine) {
        do throws(StorageError) {
            for _ in 0..<5 {
                var batch = WriteBatch()
                batch.put([0], [0])
                batch.put([2], [0])
                try engine.commit(batch)
                try engine.flush()
                engine.waitForCompactions()
            }
            emit("write ok")
        } catch {
            emit("write \(error.kind) \(error)")
        }
    }

    private static func contents(
        _ step: String, of engine: RocksDBEngine, forwards: Bool = true
    ) {
        var found = [Character](repeating: "-", count: Corpus.keyCount)
        var strangers = 0
        do throws(StorageError) {
            let iterator = try engine.makeReadView().makeIterator(lower: [], upper: nil)
            if forwards { iterator.seek(to: []) } else { iterator.seekBackwards(to: [255]) }
            var reached = forwards ? 0 : Corpus.keyCount
            func pass(to number: Int) {
                if forwards {
                    for skipped in reached..<max(reached, number) { found[skipped] = "." }
                    reached = number + 1
                } else {
                    for skipped in min(reached, number + 1)..<reached { found[skipped] = "." }
                    reached = number
                }
            }
            while iterator.isValid {
                if let number = Corpus.number(of: iterator.key) {
                    pass(to: number)
                    found[number] = phase(of: iterator.value, number)
                } else if iterator.key != [0] && iterator.key != [2] {
                    strangers += 1
                }
                if forwards { iterator.next() } else { iterator.previous() }
            }
            try iterator.checkStatus()
            pass(to: forwards ? Corpus.keyCount : -1)
            emit(step, String(found.prefix(Corpus.keyCount)), "ok", strangers)
        } catch {
            emit(step, String(found.prefix(Corpus.keyCount)), error.kind, strangers)
        }
    }

    private static func text(_ read: (Int) throws(StorageError) -> Bytes?) -> String {
        String(
            (0..<Corpus.keyCount).map { number -> Character in
                do throws(StorageError) {
                    return try read(number).map { phase(of: $0, number) } ?? "."
                } catch {
                    return error.letter
                }
            })
    }

    private static func phase(of value: Bytes, _ number: Int) -> Character {
        guard let phase = value.first, (1...Corpus.phaseCount).contains(Int(phase)),
            value == Corpus.value(number, phase: Int(phase))
        else { return "?" }
        return Character("\(phase)")
    }
}

extension StorageError {
    var kind: String {
        switch self {
        case .corruption: "corruption"
        case .noSpace: "noSpace"
        case .locked: "locked"
        case .incompatible: "incompatible"
        case .inputOutput: "inputOutput"
        }
    }

    fileprivate var letter: Character {
        switch self {
        case .corruption: "C"
        case .inputOutput: "I"
        case .noSpace, .locked, .incompatible: "X"
        }
    }
}

/// A call of the file system that fails while a directory is probed.
struct Fault {
    enum Call: String {
        /// From before the store is opened.
        case read
        /// From before the first write.
        case sync
    }

    var call: Call
    /// A part of the file's path.
    var name: String
    var offsets = 0..<Int.max

    func set() {
        failing_files_set(
            call == .read ? failing_call_read : failing_call_sync, name, offsets.lowerBound,
            offsets.upperBound)
    }
}

/// One directory to probe.
struct Order {
    var number: Int
    var directory: String
    var fault: Fault?

    var line: String {
        var fields = ["\(number)", directory]
        if let fault {
            fields += [
                fault.call.rawValue, fault.name, "\(fault.offsets.lowerBound)",
                "\(fault.offsets.upperBound)",
            ]
        }
        return fields.joined(separator: "\t")
    }

    init(number: Int, directory: String, fault: Fault?) {
        self.number = number
        self.directory = directory
        self.fault = fault
    }

    init?(line: String) {
        let fields = line.split(separator: "\t").map(String.init)
        guard fields.count >= 2, let number = Int(fields[0]) else { return nil }
        self.init(number: number, directory: fields[1], fault: nil)
        if fields.count == 6, let call = Fault.Call(rawValue: fields[2]),
            let from = Int(fields[4]), let to = Int(fields[5])
        {
            fault = Fault(call: call, name: fields[3], offsets: from..<to)
        }
    }
}
