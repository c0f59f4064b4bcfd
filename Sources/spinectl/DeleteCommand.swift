import ArgumentParser
import SpineClient

/// RPC: `etcdserverpb.KV/DeleteRange`. Prints how many keys were deleted.
struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "del", abstract: "Deletes a key, or a range of keys.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @Flag(help: "Every key that starts with KEY.")
    var prefix = false
    @Flag(help: "KEY and every key after it.")
    var fromKey = false
    @Flag(help: "Print what was deleted.")
    var prevKv = false
    @Argument(help: "The key.")
    var key: String
    @Argument(help: "Up to, not including, this key.")
    var rangeEnd: String?

    func validate() throws {
        let ways = [prefix, fromKey, rangeEnd != nil].count(where: \.self)
        guard ways <= 1 else {
            throw ValidationError("--prefix, --from-key and RANGE-END exclude each other")
        }
        guard !key.isEmpty || prefix || fromKey else { throw ValidationError("KEY is empty") }
    }

    func run() async throws {
        try await connection.run { client in
            let result = try await client.delete(selection, returningPrevious: prevKv)
            struct Answer: Encodable {
                var revision: Int64
                var deleted: Int64
                var previous: [KeyValueOutput]
            }
            try output.print(
                columns: [],
                rows: [["\(result.deleted)"]] + result.previous.map(KeyValueOutput.row),
                json: Answer(
                    revision: result.revision, deleted: result.deleted,
                    previous: result.previous.map(KeyValueOutput.init)))
        }
    }

    private var selection: KeySelection {
        if prefix { return .prefix(key) }
        if fromKey { return .from(Array(key.utf8)) }
        if let rangeEnd { return .range(Array(key.utf8), upTo: Array(rangeEnd.utf8)) }
        return .key(key)
    }
}
