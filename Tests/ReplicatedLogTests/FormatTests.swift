import Foundation
import Primitives
import Testing

@testable import ReplicatedLog

/// The worked example of `docs/formats/log-segment.md`, read from that page: what it shows is what
/// the log writes.
@Suite struct FormatTests {
    private func example() throws -> (rows: [Int: Bytes], text: String) {
        let page = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "docs/formats/log-segment.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        var rows: [Int: Bytes] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 17, let offset = Int(words[0], radix: 16) else { continue }
            let bytes = words.dropFirst().compactMap { $0.count == 2 ? UInt8($0, radix: 16) : nil }
            if bytes.count == 16 { rows[offset] = bytes }
        }
        return (rows, text)
    }

    private func written() throws -> Bytes {
        let device = MemoryLogDevice()
        let (log, _, _) = try Fixture.open(device)
        let start = LogStart(
            index: LogIndex(7), term: Term(2),
            timestamp: HybridTimestamp(microseconds: 1_600_000_000_000_000),
            configuration: [0xC0, 0xC1], configurationIndex: LogIndex(5), replacesAll: true)
        let entry = LogEntry(
            term: Term(3), index: LogIndex(8),
            timestamp: HybridTimestamp(microseconds: 1_700_000_000_000_000, logical: 2),
            semantics: SemanticsLevel(1), payload: .command(Bytes("hello".utf8)))
        try log.append([
            GroupAppend(
                group: GroupID(1), start: start,
                hardState: HardState(term: Term(3), vote: ReplicaID(0xB2), commitIndex: .zero),
                entries: [entry],
                peers: [
                    PeerRecord(
                        replica: ReplicaID(0xB2), incarnation: 4, term: Term(5),
                        lastIndex: LogIndex(8), lastTerm: Term(3))
                ])
        ])
        try log.sync()
        return device.durableContents(of: SegmentNumber(1))
    }

    @Test func theWorkedExampleIsWhatIsWritten() throws {
        let (rows, _) = try example()
        let written = try written()
        #expect(rows.count == 44)
        for offset in stride(from: 0, to: written.count, by: 16) {
            let row = Bytes(written[offset..<offset + 16])
            let expected = rows[offset] ?? Bytes(repeating: 0, count: 16)
            #expect(row == expected, "at \(String(offset, radix: 16))")
        }
    }

    @Test func theExampleReadsBack() throws {
        let (rows, _) = try example()
        let device = MemoryLogDevice()
        _ = try Fixture.open(device)
        var bytes = Bytes(repeating: 0, count: 16 << 10)
        for (offset, row) in rows { bytes.replaceSubrange(offset..<offset + 16, with: row) }
        device.overwrite(SegmentNumber(1), at: 0, bytes)
        let (log, groups, _) = try Fixture.open(device)
        #expect(groups[GroupID(1)]?.hardState.vote == ReplicaID(0xB2))
        #expect(groups[GroupID(1)]?.startConfiguration == [0xC0, 0xC1])
        #expect(groups[GroupID(1)]?.startConfigurationIndex == LogIndex(5))
        #expect(groups[GroupID(1)]?.peers.first?.incarnation == 4)
        let entry = try log.everything(of: GroupID(1))[0]
        #expect(entry.payload == .command(Bytes("hello".utf8)))
        #expect(entry.timestamp.logical == 2)
    }

    @Test func thePageStatesTheLimits() throws {
        let (_, text) = try example()
        #expect(LogLimits.payloadBytesMax == 64 << 20 && text.contains("| 64 MiB |"))
        #expect(LogLimits.batchBytesTarget == 4 << 20 && text.contains("| 4 MiB, or"))
        #expect(LogLimits.batchRecordsTarget == 16_384 && text.contains("| 16,384 |"))
        #expect(LogLimits.groupsMax == 65_536 && text.contains("| 65,536 |"))
        #expect(LogLimits.unnamedEntriesMax == 1 << 20 && text.contains("| 1,048,576 |"))
        #expect(LogLimits.readBytesTarget == 1 << 20 && text.contains("| 1 MiB |"))
        #expect(LogSettings().segmentBytes == 64 << 20)
        #expect(SegmentHeader.version == 2)
    }
}
