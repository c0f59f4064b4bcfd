import Foundation
import Primitives

/// One damaged directory: where it comes from, and what is done to it.
struct DamageCase {
    enum Base {
        case closed, crashed, longManifest
    }

    /// The rows of the table: cases of one subject and damage share a row.
    var subject: String
    var damage: String
    var base = Base.closed
    /// What is done to the copy, or what fails while it is probed.
    var change: (Directory) throws -> Void = { _ in }
    var fault: (Directory) throws -> Fault? = { _ in nil }
}

/// A copy of a store's directory that may be damaged.
struct Directory {
    let path: String

    func bytes(_ name: String) throws -> Bytes {
        Bytes(try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)))
    }

    func write(_ name: String, _ bytes: Bytes) throws {
        try remove(name)
        try Data(bytes).write(to: URL(fileURLWithPath: path + "/" + name))
    }

    func remove(_ name: String) throws {
        try? FileManager.default.removeItem(atPath: path + "/" + name)
    }

    func makeDirectory(_ name: String) throws {
        try remove(name)
        try FileManager.default.createDirectory(
            atPath: path + "/" + name, withIntermediateDirectories: false)
    }

    func edit(_ name: String, _ change: (inout Bytes) -> Void) throws {
        var bytes = try bytes(name)
        change(&bytes)
        try write(name, bytes)
    }

    var files: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
    }

    /// The file that is meant by a pattern: a beginning or an end of its name.
    func file(_ pattern: String) throws -> String {
        guard let name = try files.last(where: { $0.hasPrefix(pattern) || $0.hasSuffix(pattern) })
        else { throw NoSuchFile(name: pattern) }
        return name
    }

    /// The tables, that of the last level first.
    var tables: [String] { get throws { try files.filter { $0.hasSuffix(".sst") } } }

    /// - Parameter level0: the newest table; else that of the last level.
    func part(
        _ part: TableFile.Part, level0: Bool
    ) throws -> (name: String, range: Range<Int>) {
        let tables = try tables
        let name = level0 ? tables[tables.count - 1] : tables[0]
        guard let range = try TableFile(bytes(name)).parts[part] else {
            throw NoSuchFile(name: "\(part.rawValue) of \(name)")
        }
        return (name, range)
    }
}

struct NoSuchFile: Error {
    var name: String
}
