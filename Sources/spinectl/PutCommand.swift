import ArgumentParser
import Foundation
import SpineClient

/// RPC: `etcdserverpb.KV/Put`. Prints the revision that the put made.
struct PutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put", abstract: "Writes a value.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @Flag(help: "Print what was there before.")
    var prevKv = false
    @Argument(help: "The key.")
    var key: String
    @Argument(help: "The value; \"-\" reads standard input to its end.")
    var value: String

    func run() async throws {
        let bytes =
            value == "-"
            ? [UInt8](FileHandle.standardInput.readDataToEndOfFile()) : Array(value.utf8)
        try await connection.run { client in
            let result = try await client.put(
                Array(key.utf8), bytes, returningPrevious: prevKv)
            struct Answer: Encodable {
                var revision: Int64
                var previous: KeyValueOutput?
            }
            var rows = [["OK", "revision \(result.revision)"]]
            if let previous = result.previous {
                rows.append(["previous", display(previous.value)])
            }
            try output.print(
                columns: [], rows: rows,
                json: Answer(
                    revision: result.revision,
                    previous: result.previous.map(KeyValueOutput.init)))
        }
    }
}
