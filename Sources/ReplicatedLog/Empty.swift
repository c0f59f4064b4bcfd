// ReplicatedLog
