import Primitives

/// The number of a segment, from 1, never reused in the life of a log.
package struct SegmentNumber: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(rawValue) }
    package var next: SegmentNumber { SegmentNumber(rawValue + 1) }
}

/// Where a node's log lives: segments of fixed size, addressed by number. The log is written
/// against this protocol only, so that the simulator can hurt it; `FileLogDevice` in `NodeRuntime`
/// meets it with files.
///
/// Obligations of a device:
/// - A sector of `Sector.size` bytes, aligned to its size, is written whole or not at all, and
///   writing a sector again with the bytes it already holds leaves it readable.
/// - Writes that no `sync` has followed may be lost, in part and in any order, when the node stops.
/// - `sync` returns only when everything written to the segment before it is durable. After an
///   error nothing may be assumed: the log never tries again (`LogError.poisoned`).
/// - Reads may come from any thread at any time; everything else comes from one thread.
package protocol LogDevice: Sendable {
    /// The segments that exist, in ascending order, with their sizes in bytes.
    func listSegments() throws(LogDeviceError) -> [LogDeviceSegment]

    /// Makes a segment that begins with `header` and is zero after it, `bytes` long and with its
    /// space reserved. It appears whole or not at all: when this returns, the segment, its bytes
    /// and its place in the list are durable, and a crash on the way leaves no such segment.
    func create(
        _ segment: SegmentNumber, bytes: Int, header: UnsafeRawBufferPointer
    ) throws(LogDeviceError)

    /// Fills `buffer` from `offset`. Reading past the end of the segment is an error.
    func read(
        _ segment: SegmentNumber, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(LogDeviceError)

    /// Writes all of `bytes` at `offset`, inside the segment's size.
    func write(
        _ segment: SegmentNumber, at offset: Int, _ bytes: UnsafeRawBufferPointer
    ) throws(LogDeviceError)

    /// Makes durable what was written to the segment.
    func sync(_ segment: SegmentNumber) throws(LogDeviceError)

    /// Removes the segment; durable when this returns.
    func remove(_ segment: SegmentNumber) throws(LogDeviceError)
}

/// A segment as a device lists it.
package struct LogDeviceSegment: Hashable, Sendable {
    package var number: SegmentNumber
    /// The size in bytes.
    package var bytes: Int
    package init(number: SegmentNumber, bytes: Int) {
        self.number = number
        self.bytes = bytes
    }
}

/// What a device could not do.
package struct LogDeviceError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Operation: String, Hashable, Sendable {
        case list, create, read, write, sync, remove
    }

    package var operation: Operation
    package var segment: SegmentNumber?
    /// The system's error number, 0 when the failure has none.
    package var errorNumber: Int32
    /// The file or directory, and what the system said.
    package var detail: String

    package init(
        _ operation: Operation, segment: SegmentNumber?, errorNumber: Int32, detail: String
    ) {
        self.operation = operation
        self.segment = segment
        self.errorNumber = errorNumber
        self.detail = detail
    }

    package var description: String {
        let place = segment.map { " segment \($0)" } ?? ""
        return "log device: \(operation.rawValue)\(place) failed (errno \(errorNumber)): \(detail)"
    }
}
