import Primitives

/// An ordered key-value store with atomic batches and consistent views, without durability of its
/// own for a batch: what was committed after the last `flush` may be lost in a crash, but only as a
/// suffix of the batches (DESIGN, decision 8). Safe to use from several threads.
///
/// Keys are compared as unsigned bytes. Every engine passes `Tests/StorageEngineTests`.
package protocol StorageEngine: AnyObject, Sendable {
    /// Applies all operations of the batch in order, or none. Later views see it.
    func commit(_ batch: WriteBatch) throws(StorageError)

    /// A view of what is committed now, that later batches do not change. Pins disk space until it
    /// is released.
    func makeReadView() throws(StorageError) -> any ReadView

    /// Returns when everything committed before the call is on stable storage.
    func flush() throws(StorageError)

    /// The value that would be found after a crash now: it reads only what is on stable storage.
    func persistedValue(for key: Bytes) throws(StorageError) -> Bytes?

    /// Releases files and threads after a flush. Using the engine, a view or an iterator
    /// afterwards is a bug of the caller.
    func close() throws(StorageError)
}

/// A consistent view of the store at one moment. Safe to use from several threads; its iterators
/// belong to one thread each.
package protocol ReadView: AnyObject, Sendable {
    func value(for key: Bytes) throws(StorageError) -> Bytes?

    /// An iterator over the keys in `lower..<upper`, not yet positioned.
    /// - Parameter upper: nil is unbounded.
    func makeIterator(lower: Bytes, upper: Bytes?) throws(StorageError) -> any EngineIterator
}

/// A cursor over a bounded range of a view. `seek` before the first use. When `isValid` becomes
/// false, `checkStatus` tells the end of the range from an error: callers must ask.
package protocol EngineIterator: AnyObject {
    /// To the first key in bounds that is not below `key`.
    func seek(to key: Bytes)
    /// To the last key in bounds that is not above `key`.
    func seekBackwards(to key: Bytes)
    func next()
    func previous()
    var isValid: Bool { get }
    /// Only while valid. Copies.
    var key: Bytes { get }
    /// Only while valid. Copies.
    var value: Bytes { get }
    /// Only while valid. Lends the key without a copy while `body` runs, which must not move the
    /// iterator.
    func withKey<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result
    /// As `withKey`.
    func withValue<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result
    /// Throws when the iterator stopped for any reason but the end of its range.
    func checkStatus() throws(StorageError)
}

extension EngineIterator {
    package func withKey<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(key.span)
    }

    package func withValue<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(value.span)
    }
}

/// Changes that become visible together.
package struct WriteBatch: Sendable {
    package enum Operation: Hashable, Sendable {
        case put(key: Bytes, value: Bytes)
        case delete(key: Bytes)
        /// Half-open. Deletes nothing when `from` is not below `to`.
        case deleteRange(from: Bytes, to: Bytes)
    }
    package private(set) var operations: [Operation] = []

    package init() {}

    package var isEmpty: Bool { operations.isEmpty }

    package mutating func put(_ key: Bytes, _ value: Bytes) {
        operations.append(.put(key: key, value: value))
    }
    package mutating func delete(_ key: Bytes) { operations.append(.delete(key: key)) }
    package mutating func deleteRange(from: Bytes, to: Bytes) {
        operations.append(.deleteRange(from: from, to: to))
    }
}

/// What went wrong beneath the store. Each case is one that the caller handles differently.
package enum StorageError: Error, Equatable, Sendable {
    /// Bytes on disk do not match their checksum, or files are missing: do not serve from it.
    case corruption(String)
    /// No space is left: writes are refused until the engine is reopened.
    case noSpace(String)
    /// Another process has the directory open.
    case locked(String)
    /// The directory holds a format that this program does not read.
    case incompatible(String)
    /// Any other failure of the device or the file system.
    case inputOutput(String)
}

extension StorageError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .corruption(let what): "corruption: \(what)"
        case .noSpace(let what): "no space is left: \(what)"
        case .locked(let what), .incompatible(let what), .inputOutput(let what): what
        }
    }
}
