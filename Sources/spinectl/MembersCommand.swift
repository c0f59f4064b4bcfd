import ArgumentParser
import SpineClient

/// RPC: `etcdserverpb.Cluster/MemberList`. Prints the members as group 0 knows them.
struct MembersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "members", abstract: "Prints who belongs to the cluster.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    private struct Row: Encodable {
        var id: String
        var name: String
        var status: String
        var peers: [String]
        var clients: [String]
    }

    func run() async throws {
        try await connection.run { client in
            let rows = try await client.members().map { member in
                Row(
                    id: hexadecimal(member.id), name: member.name,
                    status: member.name.isEmpty ? "unstarted" : "started",
                    peers: member.peerURLs, clients: member.clientURLs)
            }
            try output.print(
                columns: ["ID", "STATUS", "NAME", "PEERS", "CLIENTS"],
                rows: rows.map {
                    [
                        $0.id, $0.status, $0.name, $0.peers.joined(separator: ","),
                        $0.clients.joined(separator: ","),
                    ]
                }, json: rows)
        }
    }
}
