import ArgumentParser
import Foundation
import SpineClient

/// RPC: `etcdserverpb.KV/Txn`. Reads the transaction from standard input, as etcdctl does: lines of
/// conditions, an empty line, lines of operations if they hold, an empty line, lines otherwise.
struct TxnCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "txn",
        abstract: "Runs a transaction that it reads from standard input.",
        discussion: """
            Three blocks, parted by empty lines:

              mod("key") > "0"          also: value, create, ver; =, !=, <, >

              put key "some value"      also: get KEY [END], del KEY [END]

              get key
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    private struct Answer: Encodable {
        var succeeded: Bool
        var revision: Int64
        var results: [Step]
    }

    private struct Step: Encodable {
        var operation: String
        var kvs: [KeyValueOutput]?
        var deleted: Int64?
    }

    func run() async throws {
        let text = String(
            decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self)
        let transaction: Transaction
        do {
            transaction = try TransactionScript(text).transaction
        } catch {
            complain("\(error)")
            throw ExitCode(1)
        }
        try await connection.run { client in
            let result = try await client.transaction(transaction)
            var rows = [[result.succeeded ? "SUCCESS" : "FAILURE"]]
            var steps: [Step] = []
            for step in result.results {
                switch step {
                case .get(let get):
                    rows += get.keyValues.map(KeyValueOutput.row)
                    steps.append(
                        Step(operation: "get", kvs: get.keyValues.map(KeyValueOutput.init)))
                case .put:
                    rows.append(["OK"])
                    steps.append(Step(operation: "put"))
                case .delete(let delete):
                    rows.append(["\(delete.deleted)"])
                    steps.append(Step(operation: "del", deleted: delete.deleted))
                case .transaction:
                    preconditionFailure("a script holds no transaction inside a transaction")
                }
            }
            try output.print(
                columns: [], rows: rows,
                json: Answer(
                    succeeded: result.succeeded, revision: result.revision, results: steps))
        }
    }
}
