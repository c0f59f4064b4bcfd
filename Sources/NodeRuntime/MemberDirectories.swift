import Primitives
import Synchronization

/// Which data directory each of the other members had when it was first heard: kept durably in
/// `DATA-DIR/peers` before anything that the member says is taken. A member that comes with another
/// one has lost its votes and its log, which Raft needs of it (thesis §3.8), and must not count.
final class MemberDirectories: Sendable {
    private static let fileName = "peers"

    enum Answer {
        case known
        /// Another one is remembered.
        case other
        /// Never heard of: `remember` before anything of it is taken.
        case new
    }

    private let path: String
    private let known: Mutex<[NodeID: UInt64]>
    /// Held while the file is replaced: event loops ask `known` and must not wait for the disk.
    private let writing = Mutex(())

    /// - Parameter path: the node's data directory.
    init(path: String) throws(ConfigurationError) {
        self.path = path
        var found: [NodeID: UInt64] = [:]
        if let text = try DataDirectory.readFile("\(path)/\(Self.fileName)") {
            guard let parsed = Self.parse(text) else {
                throw ConfigurationError(
                    "--data-dir \(path): the file peers is damaged; do not start this node from it: "
                        + "move the directory aside and look at the disk")
            }
            found = parsed
        }
        known = Mutex(found)
    }

    func directory(of node: NodeID) -> UInt64? { known.withLock { $0[node] } }

    func check(_ directory: UInt64, of node: NodeID) -> Answer {
        guard let remembered = self.directory(of: node) else { return .new }
        return remembered == directory ? .known : .other
    }

    /// Durable when it returns; blocks. The first that is remembered of a member stays.
    ///
    /// - Returns: whether the directory is the one remembered.
    func remember(_ directory: UInt64, of node: NodeID) throws(ConfigurationError) -> Bool {
        try writing.withLock { _ throws(ConfigurationError) in
            var next = known.withLock(\.self)
            if let remembered = next[node] { return remembered == directory }
            next[node] = directory
            try DataDirectory.replace(Self.fileName, in: path, with: Self.body(next))
            known.withLock { $0 = next }
            return true
        }
    }

    private static func body(_ directories: [NodeID: UInt64]) -> String {
        var body = "version 1\n"
        for (node, directory) in directories.sorted(by: { $0.key < $1.key }) {
            body += "member \(node) \(String(directory, radix: 16))\n"
        }
        return body
    }

    /// nil: not what `body` wrote.
    private static func parse(_ text: String) -> [NodeID: UInt64]? {
        var directories: [NodeID: UInt64] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.first == "member", words.count == 3, let id = UInt64(words[1], radix: 16),
                let directory = UInt64(words[2], radix: 16)
            {
                directories[NodeID(id)] = directory
            }
        }
        let body = body(directories)
        let checksum = String(CRC32C.checksum(Array(body.utf8)), radix: 16)
        return text == body + "crc32c \(checksum)\n" ? directories : nil
    }
}
