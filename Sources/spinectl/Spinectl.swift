import ArgumentParser
import Foundation
import SpineClient

/// The operators' CLI: one file per verb; what verbs share is `ConnectionOptions` and `Output`.
///
/// Exit codes: 0 done; 1 refused, or nobody could be reached: certainly not done; 3 the outcome of
/// a write is not known; 64 the command line is wrong.
@main
struct Spinectl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spinectl",
        abstract: "Reads, writes and looks after a Spine record store.",
        version: "spinectl 0.1.0",
        subcommands: [
            PutCommand.self, GetCommand.self, DeleteCommand.self, TxnCommand.self,
            StatusCommand.self, MembersCommand.self, SnapshotCommand.self,
        ])

    static func main() async {
        await main(ArgumentOrder.verbFirst(Array(CommandLine.arguments.dropFirst())))
    }
}

/// How the cluster is reached. The same for every verb that talks to one.
struct ConnectionOptions: ParsableArguments {
    @Option(help: "Comma-separated HOST:PORT; the first that answers is used.")
    var endpoints = "127.0.0.1:2379"
    @Option(help: "Which keyspace is meant.")
    var keyspace = "default"
    @Option(help: "Seconds for a call, over all endpoints.")
    var timeout = 10.0

    func validate() throws {
        guard timeout > 0, timeout <= 3600 else {
            throw ValidationError("--timeout is between 0 and 3600 seconds")
        }
    }

    /// Runs the verb with a client, and turns its failures into a line and an exit code.
    func run(_ body: (SpineClient) async throws -> Void) async throws {
        do {
            var settings = SpineClient.Settings()
            settings.timeout = .milliseconds(Int64(timeout * 1000))
            let client = try SpineClient(
                endpoints: endpoints.split(separator: ",").map(String.init), keyspace: keyspace,
                settings: settings)
            do {
                try await body(client)
            } catch {
                await client.close()
                throw error
            }
            await client.close()
        } catch let error as SpineError {
            complain("\(error)")
            throw ExitCode(error.code == .outcomeUnknown ? 3 : 1)
        }
    }
}

func complain(_ line: String) {
    FileHandle.standardError.write(Data("spinectl: \(line)\n".utf8))
}
