import ArgumentParser
import SpineClient

/// RPC: `etcdserverpb.KV/DeleteRange`. Prints how many keys were deleted.
struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "del", abstract: "Deletes a key, or a range of keys.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var keys: KeySelectionOptions
    @Flag(help: "Print what was deleted.")
    var prevKv = false

    func run() async throws {
        try await connection.run { client in
            let result = try await client.delete(keys.selection, returningPrevious: prevKv)
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
}
