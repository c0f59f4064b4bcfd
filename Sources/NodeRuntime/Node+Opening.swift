import Consensus
import Logging
import Primitives
import RecordModel
import RecordStore
import ReplicatedLog
import RocksDBEngine
import StorageEngine

/// What a start finds on the disk, and what it tells the operator when that cannot be trusted.
extension Node {
    static func openLog(
        _ directory: DataDirectory, logger: Logger
    ) throws(ConfigurationError) -> (ReplicatedLog, [GroupID: RecoveredGroup]) {
        let device: FileLogDevice
        do throws(LogDeviceError) {
            device = try FileLogDevice(directory: directory.logPath)
        } catch {
            throw ConfigurationError("--data-dir: \(error)")
        }
        let identity = LogIdentity(
            cluster: directory.identity.cluster, node: directory.identity.node)
        do throws(LogError) {
            let (log, groups, report) = try ReplicatedLog.open(
                device: device, identity: identity,
                settings: LogSettings(requireExisting: directory.identity.isInitialized))
            if let tail = report.tornTail {
                logger.notice(
                    "the log ended in writes that were never synced; they are dropped",
                    metadata: [
                        "segment": "\(tail.segment)", "offset": "\(tail.offset)",
                        "bytes": "\(tail.droppedBytes)",
                    ])
            }
            return (log, groups)
        } catch {
            throw ConfigurationError(
                "\(error). This node must neither vote nor serve from \(directory.logPath): "
                    + "nothing in it was changed; the other members hold the entries")
        }
    }

    static func openState(
        _ directory: DataDirectory
    ) throws(ConfigurationError) -> (RocksDBEngine, [GroupID: RecordStore]) {
        let engine: RocksDBEngine
        do throws(StorageError) {
            var settings = RocksDBSettings()
            settings.createIfMissing = !directory.identity.isInitialized
            engine = try RocksDBEngine.open(directory: directory.statePath, settings: settings)
        } catch {
            throw ConfigurationError("--data-dir: the state cannot be opened: \(error)")
        }
        var stores: [GroupID: RecordStore] = [:]
        for group in groupIDs {
            do throws(RecordStoreError) {
                stores[group] = try RecordStore(
                    engine: engine, group: group, keyspace: KeyspaceID(group: group))
            } catch {
                throw ConfigurationError(
                    "group \(group): its state in \(directory.statePath) cannot be read: \(error)")
            }
        }
        return (engine, stores)
    }
}
