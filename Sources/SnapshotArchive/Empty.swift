// SnapshotArchive
