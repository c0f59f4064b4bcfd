import Consensus
import NIOCore
import Primitives
import RPC
import RecordModel
import RecordStore

/// What the client port answers over HTTP/1.1: `/health`, `/version`, `/metrics`, as etcd does.
package struct HTTPStatusService: Sendable {
    let node: Node

    package init(node: Node) { self.node = node }

    package var handler: HTTP1Handler {
        { request, respond in
            guard request.method == "GET" || request.method == "HEAD" else {
                var response = HTTP1Response(
                    status: 405, contentType: "text/plain", "Method Not Allowed\n")
                response.headers.append(("allow", "GET, HEAD"))
                return respond(response)
            }
            switch request.path {
            case "/health": health(respond)
            case "/version":
                let version = EtcdService.version
                respond(
                    HTTP1Response(
                        status: 200, contentType: "application/json",
                        "{\"etcdserver\":\"\(version)\",\"etcdcluster\":\"\(version)\"}"))
            case "/metrics":
                respond(
                    HTTP1Response(
                        status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8",
                        metrics()))
            default:
                respond(
                    HTTP1Response(
                        status: 404, contentType: "text/plain",
                        "404 page not found; this port serves /health, /version, /metrics and "
                            + "gRPC\n"))
            }
        }
    }

    /// Healthy: a linearizable read of every keyspace that serves clients succeeds.
    private func health(_ respond: @escaping @Sendable (HTTP1Response) -> Void) {
        node.read(.default, linearizable: true) { first in
            node.read(.fhir, linearizable: true) { second in
                let failure = [first, second].compactMap { result -> NodeError? in
                    switch result {
                    case .failure(let error): return error
                    case .success(let reader):
                        let restore = reader.restoreProgress
                        return restore.phase == .loading || restore.phase == .verified
                            ? .refused(.restoring(restoreID: restore.restoreID)) : nil
                    }
                }.first
                if let failure {
                    respond(
                        HTTP1Response(
                            status: 503, contentType: "application/json",
                            "{\"health\":\"false\",\"reason\":\"\(Self.reason(failure))\"}"))
                } else {
                    respond(
                        HTTP1Response(
                            status: 200, contentType: "application/json",
                            "{\"health\":\"true\"}"))
                }
            }
        }
    }

    /// In words that need no escaping.
    private static func reason(_ error: NodeError) -> String {
        switch error {
        case .noLeader: "no leader"
        case .overloaded: "too many requests are waiting"
        case .stopping: "stopping"
        case .readTimedOut, .outcomeUnknown: "no quorum answered in time"
        case .storage: "this node's storage failed; see its log"
        case .refused(.restoring): "a keyspace is being restored"
        case .refused, .tooLarge: "a read was refused"
        }
    }

    private func metrics() -> String {
        let metrics = node.metrics
        var text = ""
        let groups = KeyspaceID.all.map { ($0, node.status(of: $0)) }
        func perGroup(
            _ name: String, _ help: String, _ type: String, _ value: (GroupStatus) -> UInt64
        ) {
            MetricLine(
                name: name, help: help, type: type,
                samples: groups.map { keyspace, status in
                    ("keyspace=\"\(keyspace)\"", "\(status.map(value) ?? 0)")
                }
            ).write(into: &text)
        }
        perGroup(
            "etcd_server_has_leader", "Whether or not a leader exists. 1 is existence, 0 is not.",
            "gauge"
        ) { $0.leader == nil ? 0 : 1 }
        perGroup(
            "etcd_server_is_leader",
            "Whether or not this member is a leader. 1 if is, 0 otherwise.", "gauge"
        ) { $0.role == .leader ? 1 : 0 }
        perGroup(
            "etcd_server_proposals_committed_total", "Index of the last committed log entry.",
            "gauge"
        ) { $0.commitIndex.rawValue }
        perGroup(
            "etcd_server_proposals_applied_total", "Index of the last applied log entry.", "gauge"
        ) { $0.appliedIndex.rawValue }
        perGroup("spine_raft_term", "The group's term.", "gauge") { $0.term.rawValue }
        func single(_ name: String, _ help: String, _ type: String, _ value: Int) {
            MetricLine(name: name, help: help, type: type, samples: [("", "\(value)")])
                .write(into: &text)
        }
        single(
            "etcd_server_proposals_pending", "Proposals without an answer yet.", "gauge",
            node.completions.count)
        single(
            "etcd_server_proposals_failed_total", "Proposals that were answered with an error.",
            "counter", metrics.proposalsFailed.value)
        single(
            "etcd_server_leader_changes_seen_total", "Changes of role, term or leader seen.",
            "counter", metrics.leaderChanges.value)
        single(
            "etcd_server_heartbeat_send_failures_total",
            "Turns in which ticks were skipped because the node was overloaded or paused.",
            "counter", metrics.heartbeatDelays.value)
        single(
            "etcd_server_read_indexes_served_total", "Batches of linearizable reads served.",
            "counter", metrics.readIndexesServed.value)
        single(
            "etcd_network_peer_sent_bytes_total", "Bytes sent to peers.", "counter",
            metrics.peerSentBytes.value)
        single(
            "etcd_network_peer_received_bytes_total", "Bytes received from peers.", "counter",
            metrics.peerReceivedBytes.value)
        single(
            "spine_peer_frames_dropped_total", "Frames that could not be sent to a peer.",
            "counter", metrics.peerFramesDropped.value)
        single(
            "spine_raft_contract_breaches_total",
            "Messages and log answers that no correct peer or disk would have given.", "counter",
            metrics.contractBreaches.value)
        let watching = node.watching.gauges
        single(
            "etcd_debugging_mvcc_watch_stream_total", "Total number of watch streams.", "gauge",
            watching.streams.value)
        single(
            "etcd_debugging_mvcc_watcher_total", "Total number of watchers.", "gauge",
            watching.watchers.value)
        single(
            "etcd_debugging_mvcc_slow_watcher_total", "Total number of unsynced slow watchers.",
            "gauge", watching.slowWatchers.value)
        single(
            "etcd_debugging_mvcc_events_total",
            "Total number of events that were applied while somebody watched.", "counter",
            watching.events.value)
        single("spine_groups", "Raft groups on this node.", "gauge", metrics.groups.value)
        single(
            "spine_groups_asleep", "Groups that have nothing to do and are not ticked.", "gauge",
            metrics.groupsAsleep.value)
        single("spine_groups_led", "Groups that this node leads.", "gauge", metrics.groupsLed.value)
        single(
            "spine_group_ticks_total", "Ticks of groups that were awake.", "counter",
            metrics.groupTicks.value)
        single(
            "spine_group_wakes_total", "Sleeping groups that were woken.", "counter",
            metrics.groupWakes.value)
        single(
            "spine_peer_batches_total", "Batches of messages for another node.", "counter",
            metrics.peerBatches.value)
        single(
            "spine_raft_messages_total", "Messages of groups in those batches.", "counter",
            metrics.raftMessages.value)
        single(
            "etcd_mvcc_db_total_size_in_bytes", "Bytes of the state on disk and in memory.",
            "gauge", node.stateBytes)
        single(
            "etcd_debugging_mvcc_db_compaction_keys_total",
            "Rows removed because compactions hide them.", "counter", metrics.rowsRemoved.value)
        metrics.logSync.write(
            name: "etcd_disk_wal_fsync_duration_seconds", help: "Seconds of one sync of the log.",
            into: &text)
        metrics.engineCommit.write(
            name: "etcd_disk_backend_commit_duration_seconds",
            help: "Seconds in which one batch of entries was applied.", into: &text)
        for line in ProcessStatistics.lines() { line.write(into: &text) }
        return text
    }
}
