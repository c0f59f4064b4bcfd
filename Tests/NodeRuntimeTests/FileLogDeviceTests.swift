import Foundation
import Primitives
import ReplicatedLog
import Testing

@testable import NodeRuntime

/// The log over real files.
@Suite struct FileLogDeviceTests {
    let identity = LogIdentity(cluster: ClusterID(1), node: NodeID(2))
    let settings = LogSettings(segmentBytes: 64 << 10)
    let group = GroupID(1)

    /// Runs `body` with the path of a directory that does not exist yet.
    private func withDirectory(_ body: (String) throws -> Void) throws {
        let parent = FileManager.default.temporaryDirectory
            .appending(path: "file-log-device-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: parent) }
        try body(parent.appending(path: "log").path())
    }

    private func entries(_ range: ClosedRange<UInt64>) -> [LogEntry] {
        range.map {
            LogEntry(
                term: Term(1), index: LogIndex($0), timestamp: HybridTimestamp(microseconds: $0),
                payload: .command(Bytes(repeating: UInt8(truncatingIfNeeded: $0), count: 3000)))
        }
    }

    private func everything(_ log: ReplicatedLog) throws -> [LogEntry] {
        let (first, last) = log.bounds(of: group)
        if first > last { return [] }
        return try log.entries(of: group, from: first, through: last, maxBytes: .max)
    }

    @Test func aLogInFilesComesBack() throws {
        try withDirectory { path in
            do {
                let device = try FileLogDevice(directory: path)
                let log = try ReplicatedLog.open(
                    device: device, identity: identity, settings: settings
                ).log
                for part in [1...30, 31...60, 61...61] as [ClosedRange<UInt64>] {
                    try log.append([GroupAppend(group: group, entries: entries(part)[...])])
                    try log.sync()
                }
                #expect(try device.listSegments().count >= 3)
                #expect(try everything(log) == entries(1...61))
            }
            let device = try FileLogDevice(directory: path)
            let (log, groups, report) = try ReplicatedLog.open(
                device: device, identity: identity, settings: settings)
            #expect(report.epoch == 2 && report.tornTail == nil)
            #expect(groups[group]?.lastIndex == LogIndex(61))
            #expect(try everything(log) == entries(1...61))
            try log.truncateLog(of: group, through: LogIndex(60))
            try log.sync()
            #expect(try device.listSegments().count == 1)
            let names = try FileManager.default.contentsOfDirectory(atPath: path)
            #expect(names.count == 1 && names[0].hasPrefix("segment-00000000"))
        }
    }

    @Test func aSegmentHasItsSpaceReservedAndItsHeader() throws {
        try withDirectory { path in
            let device = try FileLogDevice(directory: path)
            let header = Bytes(repeating: 5, count: 512)
            try header.withUnsafeBytes {
                try device.create(SegmentNumber(0xAB), bytes: 1 << 20, header: $0)
            }
            let file = path + "/segment-00000000000000ab.log"
            var status = stat()
            #expect(stat(file, &status) == 0)
            #expect(status.st_size == 1 << 20)
            #expect(status.st_blocks * 512 >= 1 << 20)
            #expect(
                try device.listSegments()
                    == [LogDeviceSegment(number: SegmentNumber(0xAB), bytes: 1 << 20)])
            var found = Bytes(repeating: 1, count: 1024)
            try found.withUnsafeMutableBytes {
                try device.read(SegmentNumber(0xAB), at: 0, into: $0)
            }
            #expect(found == header + Bytes(repeating: 0, count: 512))
            // It is never made twice.
            #expect(throws: LogDeviceError.self) {
                try header.withUnsafeBytes {
                    try device.create(SegmentNumber(0xAB), bytes: 1 << 20, header: $0)
                }
            }
        }
    }

    @Test func errorsCarryTheNumberAndThePath() throws {
        try withDirectory { path in
            let device = try FileLogDevice(directory: path)
            var buffer = Bytes(repeating: 0, count: 16)
            let missing = SegmentNumber(3)
            do {
                try buffer.withUnsafeMutableBytes { try device.read(missing, at: 0, into: $0) }
                Issue.record("a missing segment was read")
            } catch let error as LogDeviceError {
                #expect(error.operation == .read && error.segment == missing)
                #expect(error.errorNumber == ENOENT)
                #expect(error.detail.hasPrefix(path + "/segment-0000000000000003.log: "))
            }
            try buffer.withUnsafeBytes { try device.create(missing, bytes: 4096, header: $0) }
            do {
                try buffer.withUnsafeMutableBytes { try device.read(missing, at: 4090, into: $0) }
                Issue.record("more than the segment was read")
            } catch let error as LogDeviceError {
                #expect(error.errorNumber == 0 && error.detail.contains("ends before byte 4106"))
            }
            try device.remove(missing)
            #expect(throws: LogDeviceError.self) { try device.sync(missing) }
        }
    }

    @Test func aDirectoryBelongsToOneDevice() throws {
        try withDirectory { path in
            do {
                let device = try FileLogDevice(directory: path)
                #expect {
                    _ = try FileLogDevice(directory: path)
                } throws: {
                    ($0 as? LogDeviceError)?.errorNumber == EWOULDBLOCK
                }
                _ = try device.listSegments()
            }
            _ = try FileLogDevice(directory: path)
        }
        #expect {
            _ = try FileLogDevice(directory: "/nonexistent/log")
        } throws: {
            ($0 as? LogDeviceError)?.errorNumber == ENOENT
        }
    }

    @Test func aHalfMadeSegmentIsNotListedAndGoes() throws {
        try withDirectory { path in
            do { _ = try FileLogDevice(directory: path) }
            let unfinished = path + "/segment-0000000000000001.log.new"
            #expect(FileManager.default.createFile(atPath: unfinished, contents: Data([1])))
            let device = try FileLogDevice(directory: path)
            #expect(try device.listSegments().isEmpty)
            #expect(!FileManager.default.fileExists(atPath: unfinished))
        }
    }

    /// The whole way: a bit flipped in a file is found when the log is opened.
    @Test func rotInAFileIsCorruption() throws {
        try withDirectory { path in
            do {
                let device = try FileLogDevice(directory: path)
                let log = try ReplicatedLog.open(
                    device: device, identity: identity, settings: settings
                ).log
                try log.append([GroupAppend(group: group, entries: entries(1...5)[...])])
                try log.sync()
            }
            let file = path + "/segment-0000000000000001.log"
            let handle = try FileHandle(forUpdating: URL(filePath: file))
            try handle.seek(toOffset: 2048)
            let byte = try #require(try handle.read(upToCount: 1))[0]
            try handle.seek(toOffset: 2048)
            try handle.write(contentsOf: Data([byte ^ 4]))
            try handle.close()
            let device = try FileLogDevice(directory: path)
            #expect {
                _ = try ReplicatedLog.open(device: device, identity: identity, settings: settings)
            } throws: { error in
                guard case .corruption(let corruption) = error as? LogError else { return false }
                return corruption.segment == SegmentNumber(1) && corruption.offset == 2048
                    && corruption.damage.map(\.group) == [group]
            }
        }
    }
}
