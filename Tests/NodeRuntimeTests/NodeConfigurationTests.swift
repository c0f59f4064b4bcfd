import NodeRuntime
import Testing

@Suite struct NodeConfigurationTests {
    private static let three = "a=http://h:1,b=http://h:2,c=http://h:3"

    private static func make(
        name: String = "a", peers: String = "http://h:1", cluster: String = three,
        state: String = "new", token: String = "t", heartbeat: Int = 100, election: Int = 1000,
        clients: String = "http://h:9"
    ) throws(ConfigurationError) -> NodeConfiguration {
        try NodeConfiguration(
            name: name, dataDirectory: "d", listenClientURLs: clients,
            advertiseClientURLs: clients, listenPeerURLs: peers, initialAdvertisePeerURLs: peers,
            initialCluster: cluster, clusterState: state, clusterToken: token, zone: "z",
            heartbeatMilliseconds: heartbeat, electionMilliseconds: election)
    }

    @Test func membersAgreeOnEveryIdentity() throws {
        let a = try Self.make()
        let b = try Self.make(
            name: "b", peers: "http://h:2", cluster: "c=http://h:3,b=http://h:2,a=http://h:1")
        #expect(a.clusterID == b.clusterID)
        for (one, other) in zip(a.initialCluster, b.initialCluster) {
            #expect(a.nodeID(of: one) == b.nodeID(of: other))
        }
        #expect(Set(a.initialCluster.map { a.nodeID(of: $0) }).count == 3)
    }

    @Test func anotherTokenOrAddressIsAnotherCluster() throws {
        let a = try Self.make()
        #expect(try Self.make(token: "u").clusterID != a.clusterID)
        let moved = try Self.make(cluster: "a=http://h:1,b=http://h:2,c=http://h:4")
        #expect(moved.clusterID != a.clusterID)
    }

    @Test func badFlagsNameThemselves() {
        func refused(
            _ words: String, _ body: () throws(ConfigurationError) -> NodeConfiguration
        ) {
            do throws(ConfigurationError) {
                _ = try body()
                Issue.record("taken, although: \(words)")
            } catch {
                #expect(error.description.contains(words), "\(error) does not say \(words)")
            }
        }
        refused("no member is named d") { () throws(ConfigurationError) in
            try Self.make(name: "d", peers: "http://h:1")
        }
        refused("--initial-advertise-peer-urls is http://h:7") { () throws(ConfigurationError) in
            try Self.make(peers: "http://h:7")
        }
        refused("same peer URL") { () throws(ConfigurationError) in
            try Self.make(cluster: "a=http://h:1,b=http://h:1")
        }
        refused("NAME=http://HOST:PORT") { () throws(ConfigurationError) in
            try Self.make(cluster: "a=http://h:1,b")
        }
        refused("must be \"new\" or \"existing\"") { () throws(ConfigurationError) in
            try Self.make(state: "old")
        }
        refused("not there yet") { () throws(ConfigurationError) in
            try Self.make(state: "existing")
        }
        refused("5 times") { () throws(ConfigurationError) in
            try Self.make(heartbeat: 300)
        }
        refused("50000ms") { () throws(ConfigurationError) in try Self.make(election: 60_000) }
        refused("TLS") { () throws(ConfigurationError) in try Self.make(clients: "https://h:1") }
        for url in ["h:1", "http://h", "http://:1", "http://h:0", "http://h:65536", "http://h:1/x"]
        {
            refused("--listen-client-urls") { () throws(ConfigurationError) in
                try Self.make(clients: url)
            }
        }
    }
}
