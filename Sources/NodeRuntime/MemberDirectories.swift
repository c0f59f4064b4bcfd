import Primitives
import RecordModel
import RecordStore
import Synchronization

/// Which data directory each member has, as group 0 says: the memory of the cluster about the memory
/// of its members. A member that comes with another directory has forgotten its votes and its log,
/// and must not count (thesis §3.8: term, vote and log must survive).
final class MemberDirectories: Sendable {
    static let keyPrefix = Bytes("directory/".utf8)
    static func key(of id: NodeID) -> Bytes { keyPrefix + Bytes(id.description.utf8) }

    static func encode(_ directory: UInt64) -> Bytes {
        var writer = ByteWriter()
        writer.write(directory)
        return writer.bytes
    }

    private let known = Mutex<[NodeID: UInt64]>([:])

    /// nil: group 0 has not heard of the member's directory, as far as this node has applied it.
    func directory(of node: NodeID) -> UInt64? { known.withLock { $0[node] } }

    /// Reads what this node has applied of group 0. On a thread that may wait for the disk.
    func refresh(from store: RecordStore) throws(RecordReadFailure) {
        let reader: RecordReader
        do throws(RecordStoreError) { reader = try store.makeReader() } catch {
            throw .store(error)
        }
        let records = try reader.range(RangeRequest(range: .prefix(Self.keyPrefix))).records
        var found: [NodeID: UInt64] = [:]
        for record in records {
            let name = String(decoding: record.key.dropFirst(Self.keyPrefix.count), as: UTF8.self)
            var value = ByteReader(record.value)
            guard let id = UInt64(name, radix: 16),
                let directory = try? value.read(UInt64.self, "directory")
            else { continue }
            found[NodeID(id)] = directory
        }
        known.withLock { $0 = found }
    }
}
