import ArgumentParser
import SpineClient

/// RPC: `etcdserverpb.KV/Range`. Prints the keys found.
struct GetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Reads a key, or a range of keys.")

    enum Order: String, ExpressibleByArgument, CaseIterable { case ascend, descend }
    enum Target: String, ExpressibleByArgument, CaseIterable {
        case key, version, create, modify, value
    }

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var keys: KeySelectionOptions
    @Option(help: "At most this many keys; 0 is no limit.")
    var limit: Int64 = 0
    @Option(help: "As of this revision; 0 is the newest.")
    var rev: Int64 = 0
    @Option(help: "ascend or descend.")
    var order: Order?
    @Option(help: "key, version, create, modify or value.")
    var sortBy = Target.key
    @Flag(help: "Leave the values out.")
    var keysOnly = false
    @Flag(help: "Print only how many keys there are.")
    var countOnly = false
    @Flag(help: "Read what the asked node has applied; it may be behind.")
    var serializable = false
    @Flag(help: "Print the values alone, each followed by a line feed.")
    var printValueOnly = false

    func validate() throws {
        guard limit >= 0, rev >= 0 else {
            throw ValidationError("--limit and --rev are not negative")
        }
    }

    func run() async throws {
        try await connection.run { client in
            let result = try await client.get(keys.selection, options)
            if printValueOnly {
                for keyValue in result.keyValues { print(display(keyValue.value)) }
                return
            }
            struct Answer: Encodable {
                var revision: Int64
                var count: Int64
                var more: Bool
                var kvs: [KeyValueOutput]
            }
            try output.print(
                columns: countOnly ? ["COUNT"] : KeyValueOutput.columns,
                rows: countOnly
                    ? [["\(result.count)"]] : result.keyValues.map(KeyValueOutput.row),
                json: Answer(
                    revision: result.revision, count: result.count, more: result.more,
                    kvs: result.keyValues.map(KeyValueOutput.init)))
        }
    }

    private var options: GetOptions {
        var options = GetOptions()
        options.limit = limit
        options.revision = rev == 0 ? nil : rev
        options.keysOnly = keysOnly
        options.countOnly = countOnly
        options.serializable = serializable
        switch order {
        case .ascend: options.order = .ascending
        case .descend: options.order = .descending
        case nil: break
        }
        switch sortBy {
        case .key: options.target = .key
        case .version: options.target = .version
        case .create: options.target = .createRevision
        case .modify: options.target = .modRevision
        case .value: options.target = .value
        }
        return options
    }
}
