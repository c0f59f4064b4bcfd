import Primitives

/// Torn or rotten: what the first batch that is not whole means. The reasons stand in
/// `docs/formats/log-segment.md`.
extension SegmentImage {
    enum Verdict {
        /// The log ends here; nothing stands behind it.
        case end
        /// Writes that no sync had followed begin here. Nothing proves otherwise, and each sector
        /// of the first batch is as written or zero.
        case torn
        case corrupt(LogCorruption)
    }

    /// - Parameter durable: the highest batch that segments after this one state as synced.
    func judge(at cursor: Cursor, durable: UInt64) -> Verdict {
        guard cursor.hasRoom else { return .end }
        #if PlantedBugs
            if PlantedBug.active == .rotTakenForTornTail, durable < cursor.sequence { return .torn }
        #endif
        let durable = max(durable, claims(between: cursor))
        let batch = Remains(of: self, at: cursor)
        if durable >= cursor.sequence {
            return .corrupt(corruption(batch, .syncedSectorLost, at: cursor))
        }
        if let sector = batch.firstAlien {
            let reason: LogCorruption.Reason =
                state(sector) == .rotten ? .sectorRotten : .contradiction
            return .corrupt(corruption(batch, reason, at: cursor))
        }
        let empty = (cursor.dataEnd..<cursor.identifiersStart).allSatisfy { isZero($0) }
        #if PlantedBugs
            if PlantedBug.active == .tornTailTakenForRot, !empty {
                return .corrupt(corruption(batch, .sectorRotten, at: cursor))
            }
        #endif
        return empty ? .end : .torn
    }

    /// The highest batch that anything behind the cursor states as synced.
    private func claims(between cursor: Cursor) -> UInt64 {
        var claim: UInt64 = 0
        for sector in cursor.dataEnd..<cursor.identifiersStart {
            if let header = head(at: sector) {
                claim = max(claim, header.durableSequence)
            } else if let identifiers = identifiers(at: sector) {
                claim = max(claim, identifiers.durableSequence)
            }
        }
        return claim
    }

    private func corruption(
        _ batch: Remains, _ reason: LogCorruption.Reason, at cursor: Cursor
    ) -> LogCorruption {
        let sector = batch.firstAlien ?? batch.firstLost ?? cursor.dataEnd
        let rotten = state(sector) == .rotten
        return LogCorruption(
            reason: rotten ? .sectorRotten : reason, segment: number,
            offset: sector * Sector.size, damage: batch.damage)
    }

    /// What is left of the batch at a cursor.
    private struct Remains {
        /// The first sector that neither is zero nor belongs there.
        private(set) var firstAlien: Int?
        private(set) var firstLost: Int?
        /// The damaged records, as far as their identifiers can be read.
        private(set) var damage: [LogCorruption.Damage] = []

        init(of image: SegmentImage, at cursor: Cursor) {
            let tag = Sector.tag(of: cursor.sequence)
            let head = image.head(at: cursor.dataEnd).flatMap {
                $0.sequence == cursor.sequence ? $0 : nil
            }
            // Part 0 stands right before the cursor; when it is lost, the head says how many follow.
            let first = Self.part(0, of: image, at: cursor)
            let parts = first.map { Int($0.parts) } ?? head.map { Int($0.identifierSectors) } ?? 1
            let room = cursor.identifiersStart - cursor.dataEnd
            let identifiers = (0..<min(parts, room)).map { Self.part($0, of: image, at: cursor) }
            let dataSectors =
                head?.dataSectors
                ?? identifiers.lazy.compactMap { $0 }.first.map { Int($0.batchSectors) } ?? 1

            var badData: [Int] = []
            for sector in cursor.dataEnd..<cursor.dataEnd + min(dataSectors, room) {
                let role: Sector.Role =
                    sector == cursor.dataEnd ? .batchHead : .batchContinuation
                let state = image.state(sector)
                let known = sector > cursor.dataEnd || head != nil
                if state == .written(role, sequenceTag: tag), known { continue }
                badData.append(sector - cursor.dataEnd)
                note(sector, isZero: state == .zero)
            }
            for (part, sector) in identifiers.enumerated() where sector == nil {
                let number = cursor.identifiersStart - 1 - part
                note(number, isZero: image.state(number) == .zero)
            }
            damage = Self.damage(
                identifiers, badData: badData, image: image, head: head, at: cursor)
        }

        private mutating func note(_ sector: Int, isZero: Bool) {
            if isZero {
                firstLost = firstLost ?? sector
            } else {
                firstAlien = firstAlien ?? sector
            }
        }

        private static func part(
            _ part: Int, of image: SegmentImage, at cursor: Cursor
        ) -> IdentifierSector? {
            guard let sector = image.identifiers(at: cursor.identifiersStart - 1 - part),
                sector.sequence == cursor.sequence, Int(sector.part) == part
            else { return nil }
            return sector
        }

        /// Records that overlap a bad sector, by the identifiers that can be read; and, where the
        /// batch itself is whole, the records whose identifiers cannot.
        private static func damage(
            _ identifiers: [IdentifierSector?], badData: [Int], image: SegmentImage,
            head: BatchHeader?, at cursor: Cursor
        ) -> [LogCorruption.Damage] {
            var records: [(group: GroupID, index: LogIndex?)] = []
            let readable = identifiers.compactMap { $0 }
            for identifier in readable.flatMap(\.identifiers) {
                let first = identifier.offset / Sector.contentSize
                let last = (identifier.offset + identifier.length - 1) / Sector.contentSize
                guard badData.contains(where: { (first...last).contains($0) }) else { continue }
                let isEntry = identifier.kind.isEntry
                records.append((identifier.group, isEntry ? identifier.index : nil))
            }
            if badData.isEmpty, readable.count < identifiers.count, let head {
                let end = cursor.dataEnd + head.dataSectors
                let known = Set(readable.flatMap(\.identifiers).map(\.offset))
                let content = image.content(cursor.dataEnd..<end)
                content.withUnsafeBytes { raw in
                    var offset = BatchHeader.size
                    while offset < Int(head.contentBytes),
                        let record = RecordHeader(
                            UnsafeRawBufferPointer(rebasing: raw[offset...]))
                    {
                        if !known.contains(offset) {
                            let isEntry = record.kind.isEntry
                            records.append((record.group, isEntry ? record.index : nil))
                        }
                        offset += record.length
                    }
                }
            }
            return LogCorruption.Damage.merged(
                records.map {
                    LogCorruption.Damage(group: $0.group, indexes: $0.index.map { $0...$0 })
                })
        }
    }
}

extension LogCorruption.Damage {
    /// One for each group, which spans all of its entries.
    static func merged(_ parts: [Self]) -> [Self] {
        var ranges: [GroupID: ClosedRange<LogIndex>?] = [:]
        for part in parts {
            let range = ranges[part.group] ?? nil
            if let range, let more = part.indexes {
                let first = min(range.lowerBound, more.lowerBound)
                ranges[part.group] = first...max(range.upperBound, more.upperBound)
            } else {
                ranges[part.group] = .some(range ?? part.indexes)
            }
        }
        return ranges.sorted { $0.key < $1.key }.map { Self(group: $0.key, indexes: $0.value) }
    }
}
