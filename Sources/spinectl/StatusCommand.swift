import ArgumentParser
import SpineClient

/// RPC: `etcdserverpb.Maintenance/Status`, at every endpoint. Exits with 1 when one did not answer.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Prints how every endpoint stands.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    private struct Row: Encodable {
        var endpoint: String
        var error: String?
        var member: String?
        var cluster: String?
        var version: String?
        var leader: Bool?
        var term: UInt64?
        var index: UInt64?
        var applied: UInt64?
        var revision: Int64?
        var bytes: Int64?
    }

    func run() async throws {
        try await connection.run { client in
            var rows: [Row] = []
            for (endpoint, status) in await client.status() {
                switch status {
                case .success(let node):
                    rows.append(
                        Row(
                            endpoint: endpoint, member: hexadecimal(node.memberID),
                            cluster: hexadecimal(node.clusterID), version: node.version,
                            leader: node.isLeader, term: node.raftTerm, index: node.raftIndex,
                            applied: node.raftAppliedIndex, revision: node.revision,
                            bytes: node.databaseBytes))
                case .failure(let error):
                    rows.append(Row(endpoint: endpoint, error: error.message))
                }
            }
            try output.print(
                columns: [
                    "ENDPOINT", "MEMBER", "VERSION", "LEADER", "TERM", "INDEX", "APPLIED",
                    "REVISION", "BYTES",
                ],
                rows: rows.map { row in
                    if let error = row.error { return [row.endpoint, "unreachable: \(error)"] }
                    return [
                        row.endpoint, row.member ?? "", row.version ?? "",
                        row.leader == true ? "yes" : "no", "\(row.term ?? 0)",
                        "\(row.index ?? 0)", "\(row.applied ?? 0)", "\(row.revision ?? 0)",
                        "\(row.bytes ?? 0)",
                    ]
                }, json: rows)
            if rows.contains(where: { $0.error != nil }) { throw ExitCode(1) }
        }
    }
}
