import Primitives

/// One line that tells an operator what is wrong with how the node was started and what to do.
package struct ConfigurationError: Error, CustomStringConvertible, Equatable, Sendable {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// Where a listener binds or a peer is found: `http://host:port`.
package struct HostPort: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var host: String
    package var port: Int
    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    package static func < (a: Self, b: Self) -> Bool { (a.host, a.port) < (b.host, b.port) }

    /// As etcd writes URLs.
    package var description: String { "http://\(authority)" }
    package var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// - Parameter flag: named in the error.
    package init(url: String, flag: String) throws(ConfigurationError) {
        if url.hasPrefix("https://") || url.hasPrefix("unixs://") {
            throw ConfigurationError(
                "\(flag): \(url) asks for TLS, which this version does not serve yet; "
                    + "use http:// on a network you trust")
        }
        guard url.hasPrefix("http://") else {
            throw ConfigurationError("\(flag): \(url) is not a URL like http://127.0.0.1:2379")
        }
        var rest = url.dropFirst("http://".count)
        while rest.last == "/" { rest = rest.dropLast() }
        guard let colon = rest.lastIndex(of: ":"),
            let port = Int(rest[rest.index(after: colon)...]),
            (1...65535).contains(port), !rest.contains("/")
        else {
            throw ConfigurationError(
                "\(flag): \(url) must be http://HOST:PORT with a port from 1 to 65535")
        }
        var host = rest[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { throw ConfigurationError("\(flag): \(url) has no host") }
        self.init(host: String(host), port: port)
    }

    /// A comma-separated list, as etcd's URL flags take.
    package static func list(_ text: String, flag: String) throws(ConfigurationError) -> [HostPort]
    {
        var urls: [HostPort] = []
        for part in text.split(separator: ",") {
            urls.append(try HostPort(url: String(part), flag: flag))
        }
        guard !urls.isEmpty else { throw ConfigurationError("\(flag): needs at least one URL") }
        return urls
    }
}

/// A member as `--initial-cluster` names it.
package struct InitialMember: Hashable, Sendable {
    package var name: String
    /// Sorted.
    package var peerURLs: [HostPort]
}

/// What a node is started with. The names and meanings are those of etcd's flags.
package struct NodeConfiguration: Sendable {
    package var name: String
    package var dataDirectory: String
    package var listenClientURLs: [HostPort]
    package var advertiseClientURLs: [HostPort]
    package var listenPeerURLs: [HostPort]
    package var initialAdvertisePeerURLs: [HostPort]
    /// Sorted by name.
    package var initialCluster: [InitialMember]
    package var clusterToken: String
    /// The availability zone this node stands in; empty when not told.
    package var zone: String
    package var heartbeatInterval: Duration
    package var electionTimeout: Duration
    /// Groups without records beside those of the keyspaces, for measuring what idle groups cost.
    /// Part of the cluster's identity: given at the first start of all members, alike, or never.
    package var idleGroups = 0
    /// How often a quiet watcher that asked for it is told how far it has come; etcd's
    /// `--watch-progress-notify-interval`.
    package var watchProgressInterval: Duration = .seconds(600)
    /// etcd's `minWatchProgressInterval`.
    package static let watchProgressIntervalMin: Duration = .milliseconds(100)

    /// Checks the flags against each other.
    ///
    /// - Parameters:
    ///   - initialCluster: `name=url,name=url`; a name may come more than once, as in etcd.
    ///   - heartbeatMilliseconds, electionMilliseconds: as etcd, the second at least five times the
    ///     first and at most 50,000.
    package init(
        name: String, dataDirectory: String, listenClientURLs: String, advertiseClientURLs: String,
        listenPeerURLs: String, initialAdvertisePeerURLs: String, initialCluster: String,
        clusterState: String, clusterToken: String, zone: String, heartbeatMilliseconds: Int,
        electionMilliseconds: Int
    ) throws(ConfigurationError) {
        self.name = name
        self.dataDirectory = dataDirectory.isEmpty ? "\(name).spine" : dataDirectory
        self.zone = zone
        self.clusterToken = clusterToken
        self.listenClientURLs = try HostPort.list(listenClientURLs, flag: "--listen-client-urls")
        self.advertiseClientURLs = try HostPort.list(
            advertiseClientURLs, flag: "--advertise-client-urls")
        self.listenPeerURLs = try HostPort.list(listenPeerURLs, flag: "--listen-peer-urls")
        self.initialAdvertisePeerURLs = try HostPort.list(
            initialAdvertisePeerURLs, flag: "--initial-advertise-peer-urls"
        ).sorted()

        switch clusterState {
        case "new": break
        case "existing":
            throw ConfigurationError(
                "--initial-cluster-state existing: joining a running cluster is not there yet; "
                    + "start all members with \"new\" (a node with data ignores the flag)")
        default:
            throw ConfigurationError(
                "--initial-cluster-state: \(clusterState) must be \"new\" or \"existing\"")
        }

        var members: [String: [HostPort]] = [:]
        for part in initialCluster.split(separator: ",") {
            guard let equals = part.firstIndex(of: "="), equals != part.startIndex else {
                throw ConfigurationError(
                    "--initial-cluster: \(part) must be NAME=http://HOST:PORT")
            }
            let url = try HostPort(
                url: String(part[part.index(after: equals)...]), flag: "--initial-cluster")
            members[String(part[..<equals]), default: []].append(url)
        }
        self.initialCluster = members.map {
            InitialMember(name: $0.key, peerURLs: $0.value.sorted())
        }.sorted { $0.name < $1.name }

        guard let own = members[name] else {
            throw ConfigurationError(
                "--initial-cluster: no member is named \(name); it must list this node's --name")
        }
        guard own.sorted() == self.initialAdvertisePeerURLs else {
            throw ConfigurationError(
                "--initial-cluster has \(own.map(\.description).joined(separator: ",")) for \(name) "
                    + "but --initial-advertise-peer-urls is "
                    + self.initialAdvertisePeerURLs.map(\.description).joined(separator: ","))
        }
        let all = members.values.flatMap { $0 }
        guard Set(all).count == all.count else {
            throw ConfigurationError("--initial-cluster: two members have the same peer URL")
        }
        guard members.count <= Self.membersMax else {
            throw ConfigurationError(
                "--initial-cluster: \(members.count) members; at most \(Self.membersMax) vote")
        }

        guard heartbeatMilliseconds > 0, electionMilliseconds > 0 else {
            throw ConfigurationError(
                "--heartbeat-interval and --election-timeout are milliseconds above 0")
        }
        guard heartbeatMilliseconds <= 50_000, electionMilliseconds >= 5 * heartbeatMilliseconds
        else {
            throw ConfigurationError(
                "--election-timeout [\(electionMilliseconds)ms] should be at least as 5 times as "
                    + "--heartbeat-interval [\(heartbeatMilliseconds)ms]")
        }
        guard electionMilliseconds <= 50_000 else {
            throw ConfigurationError(
                "--election-timeout [\(electionMilliseconds)ms] is too long, and should be set less "
                    + "than 50000ms")
        }
        heartbeatInterval = .milliseconds(heartbeatMilliseconds)
        electionTimeout = .milliseconds(electionMilliseconds)
    }

    /// Voters of a cluster: more add cost to each write and no safety that zones give.
    package static let membersMax = 9

    /// As many as the log holds, less those of the keyspaces.
    package static let idleGroupsMax = 50_000

    /// Made from what every member is started with alike, so that they agree on it.
    package var clusterID: ClusterID {
        var hash = StableHash()
        hash.add("cluster")
        hash.add(clusterToken)
        for member in initialCluster {
            hash.add(member.name)
            for url in member.peerURLs { hash.add(url.description) }
        }
        if idleGroups > 0 { hash.add("idle groups \(idleGroups)") }
        return ClusterID(hash.value)
    }

    package func nodeID(of member: InitialMember) -> NodeID {
        var hash = StableHash()
        hash.add("member")
        hash.add(clusterToken)
        hash.add(member.name)
        for url in member.peerURLs { hash.add(url.description) }
        return NodeID(hash.value)
    }

    package var ownMember: InitialMember {
        guard let own = initialCluster.first(where: { $0.name == name }) else {
            preconditionFailure("initial cluster without \(name)")
        }
        return own
    }
    package var ownID: NodeID { nodeID(of: ownMember) }
}
