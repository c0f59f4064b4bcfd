import Foundation
import Primitives
import Testing

@testable import NodeRuntime

@Suite struct DataDirectoryTests {
    private static let cluster = ClusterID(0xAB)
    private static let node = NodeID(0xCD)

    private static func open(
        _ path: String, cluster: ClusterID = cluster, node: NodeID = node
    ) throws(ConfigurationError) -> DataDirectory {
        try DataDirectory.open(path: path, cluster: cluster, node: node)
    }

    private static func refused(_ words: String, _ body: () throws(ConfigurationError) -> Void) {
        do throws(ConfigurationError) {
            try body()
            Issue.record("opened, although: \(words)")
        } catch {
            #expect(error.description.contains(words), "\(error) does not say \(words)")
        }
    }

    @Test func startsAreCountedAndRemembered() throws {
        try withTemporaryDirectory { path in
            for start in 1...3 as ClosedRange<UInt64> {
                let directory = try Self.open("\(path)/deep/data")
                #expect(directory.identity.incarnation == start)
                #expect(directory.identity.isInitialized == (start > 2))
                if start == 2 { try directory.markInitialized() }
            }
        }
    }

    @Test func anotherClusterOrMemberIsRefused() throws {
        try withTemporaryDirectory { path in
            _ = try Self.open(path)
            Self.refused("belongs to cluster ab") { () throws(ConfigurationError) in
                _ = try Self.open(path, cluster: ClusterID(1))
            }
            Self.refused("belongs to member cd") { () throws(ConfigurationError) in
                _ = try Self.open(path, node: NodeID(1))
            }
            #expect(try Self.open(path).identity.incarnation == 2)
        }
    }

    @Test func twoNodesDoNotShareIt() throws {
        try withTemporaryDirectory { path in
            let first = try Self.open(path)
            Self.refused("in use by another spined") { () throws(ConfigurationError) in
                _ = try Self.open(path)
            }
            withExtendedLifetime(first) {}
        }
    }

    @Test func everyFlippedByteOfTheIdentityIsNoticed() throws {
        try withTemporaryDirectory { path in
            _ = try Self.open(path)
            let file = URL(fileURLWithPath: "\(path)/identity")
            let whole = try Data(contentsOf: file)
            for position in whole.indices {
                var damaged = whole
                damaged[position] ^= 1
                try damaged.write(to: file)
                do throws(ConfigurationError) {
                    let directory = try Self.open(path)
                    Issue.record("byte \(position) flipped, opened as \(directory.identity)")
                } catch {}
            }
            for count in whole.indices.dropLast() {
                try whole.prefix(count).write(to: file)
                #expect(throws: ConfigurationError.self, "\(count) bytes") {
                    try Self.open(path)
                }
            }
        }
    }

    @Test func anotherVersionSaysWhatToDo() throws {
        try withTemporaryDirectory { path in
            try "version 2\n".write(toFile: "\(path)/identity", atomically: true, encoding: .utf8)
            Self.refused("start the version of spined that wrote it") {
                () throws(ConfigurationError) in _ = try Self.open(path)
            }
        }
    }

    @Test func aDirectoryOfSomethingElseIsLeftAlone() throws {
        try withTemporaryDirectory { path in
            try "x".write(toFile: "\(path)/photo.jpg", atomically: true, encoding: .utf8)
            Self.refused("use an empty directory") { () throws(ConfigurationError) in
                _ = try Self.open(path)
            }
            Self.refused("is not a directory") { () throws(ConfigurationError) in
                _ = try Self.open("\(path)/photo.jpg")
            }
            #expect(!FileManager.default.fileExists(atPath: "\(path)/identity"))
        }
    }
}

func withTemporaryDirectory<Result>(
    _ body: (String) throws -> Result
) throws -> Result {
    let path = temporaryPath()
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
}

func temporaryPath() -> String {
    FileManager.default.temporaryDirectory.appendingPathComponent("spine-\(UUID().uuidString)").path
}
