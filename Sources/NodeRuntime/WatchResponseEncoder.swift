import NIOCore
import Primitives
import RPC
import RecordModel
import RecordStore

/// Writes `etcdserverpb.WatchResponse` with events straight into the bytes that are sent: an event
/// may go to thousands of watchers, and to build a message for each would cost more than to find
/// them. Field numbers are those of `etcd/watch.proto`, `mvcc.proto` and `header.proto`; as
/// everywhere in proto3, a field that is zero is left out.
struct WatchResponseEncoder {
    let cluster: UInt64
    let member: UInt64
    let term: UInt64

    func encode(_ delivery: WatchDelivery, allocator: ByteBufferAllocator) -> ByteBuffer {
        let header = headerBytes(revision: delivery.revision)
        let events = delivery.events.map { EventSizes($0, withPrevious: delivery.withPrevious) }
        var total = Field.bytes(header) + Field.varint(UInt64(bitPattern: delivery.watch))
        if delivery.moreFollows { total += 2 }
        for event in events { total += Field.bytes(event.all) }

        var buffer = allocator.buffer(capacity: total)
        buffer.writeLength(field: 1, header)
        buffer.writeField(1, cluster)
        buffer.writeField(2, member)
        buffer.writeField(3, UInt64(bitPattern: delivery.revision.rawValue))
        buffer.writeField(4, term)
        buffer.writeField(2, UInt64(bitPattern: delivery.watch))
        if delivery.moreFollows { buffer.writeField(7, 1) }
        for (event, sizes) in zip(delivery.events, events) {
            buffer.writeLength(field: 11, sizes.all)
            if event.isDeletion { buffer.writeField(1, 1) }
            buffer.writeLength(field: 2, sizes.record)
            if let record = event.record {
                buffer.writeRecord(record)
            } else {
                buffer.writeBytes(field: 1, event.key)
                buffer.writeField(3, UInt64(bitPattern: event.revision.rawValue))
            }
            if sizes.previous > 0, let previous = event.previous {
                buffer.writeLength(field: 3, sizes.previous)
                buffer.writeRecord(previous)
            }
        }
        return buffer
    }

    private func headerBytes(revision: Revision) -> Int {
        Field.varint(cluster) + Field.varint(member)
            + Field.varint(UInt64(bitPattern: revision.rawValue)) + Field.varint(term)
    }
}

/// Bytes of an event's parts, without the tags and lengths before them.
private struct EventSizes {
    var record: Int
    var previous = 0
    var all: Int

    init(_ event: WatchEvent, withPrevious: Bool) {
        if let put = event.record {
            record = Field.record(put)
        } else {
            record =
                Field.bytesOrNone(event.key.count)
                + Field.varint(UInt64(bitPattern: event.revision.rawValue))
        }
        all = (event.isDeletion ? 2 : 0) + Field.bytes(record)
        if withPrevious, let before = event.previous {
            previous = Field.record(before)
            all += Field.bytes(previous)
        }
    }
}

/// Bytes of fields with numbers below 16, tags included.
private enum Field {
    static func varintBytes(_ value: UInt64) -> Int {
        value == 0 ? 1 : (70 - value.leadingZeroBitCount) / 7
    }

    static func varint(_ value: UInt64) -> Int { value == 0 ? 0 : 1 + varintBytes(value) }

    static func bytes(_ count: Int) -> Int { 1 + varintBytes(UInt64(count)) + count }

    static func bytesOrNone(_ count: Int) -> Int { count == 0 ? 0 : bytes(count) }

    static func record(_ record: Record) -> Int {
        bytesOrNone(record.key.count)
            + varint(UInt64(bitPattern: record.createRevision.rawValue))
            + varint(UInt64(bitPattern: record.modRevision.rawValue))
            + varint(UInt64(bitPattern: record.version)) + bytesOrNone(record.value.count)
            + varint(UInt64(bitPattern: record.lease))
    }
}

extension ByteBuffer {
    fileprivate mutating func writeVarint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            writeInteger(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        writeInteger(UInt8(value))
    }

    fileprivate mutating func writeField(_ field: UInt8, _ value: UInt64) {
        guard value != 0 else { return }
        writeInteger(field << 3)
        writeVarint(value)
    }

    fileprivate mutating func writeLength(field: UInt8, _ count: Int) {
        writeInteger(field << 3 | 2)
        writeVarint(UInt64(count))
    }

    fileprivate mutating func writeBytes(field: UInt8, _ bytes: Bytes) {
        guard !bytes.isEmpty else { return }
        writeLength(field: field, bytes.count)
        writeBytes(bytes)
    }

    fileprivate mutating func writeRecord(_ record: Record) {
        writeBytes(field: 1, record.key)
        writeField(2, UInt64(bitPattern: record.createRevision.rawValue))
        writeField(3, UInt64(bitPattern: record.modRevision.rawValue))
        writeField(4, UInt64(bitPattern: record.version))
        writeBytes(field: 5, record.value)
        writeField(6, UInt64(bitPattern: record.lease))
    }
}
