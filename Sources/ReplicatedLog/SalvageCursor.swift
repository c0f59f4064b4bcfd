import Primitives

/// How far a segment has been read.
struct SalvageCursor {
    enum Missing { case torn, lost }

    let survey: SegmentSurvey
    /// The highest batch that anything states as synced.
    let claim: UInt64
    let isSuccessorKnown: Bool
    private(set) var dataEnd = 1
    /// `nil` when a batch has been met of whose identifiers nothing tells where they begin.
    private(set) var identifiersStart: Int?
    private(set) var lastKind: BatchHeader.Kind?

    init(survey: SegmentSurvey, claim: UInt64, isSuccessorKnown: Bool) {
        self.survey = survey
        self.claim = claim
        self.isSuccessorKnown = isSuccessorKnown
        identifiersStart = survey.image.sectorCount
    }

    /// What to make of a batch of which neither head nor identifiers are left: rows 2, 4 and 6 of
    /// the format's table.
    func judgeMissing(_ sequence: UInt64) -> Missing {
        if claim >= sequence { return .lost }
        let image = survey.image
        guard let identifiersStart else {
            // Not known where its identifiers would be: any rotten sector may be one of them.
            let isRotten = (dataEnd..<max(dataEnd, image.sectorCount)).contains {
                image.state($0) == .rotten
            }
            return isRotten ? .lost : .torn
        }
        guard dataEnd + 2 <= identifiersStart else { return .torn }
        let isRotten =
            image.state(dataEnd) == .rotten || image.state(identifiersStart - 1) == .rotten
        return isRotten ? .lost : .torn
    }

    /// The batch, with the place of its identifiers when that follows from the batches before.
    func placed(_ batch: BatchRemains) -> BatchRemains {
        var batch = batch
        if batch.identifiersEnd == nil, batch.firstSector == dataEnd {
            batch.identifiersEnd = identifiersStart
        }
        return batch
    }

    mutating func pass(_ batch: BatchRemains) {
        dataEnd = batch.firstSector + batch.dataSectors
        identifiersStart = batch.identifiersEnd.map { $0 - batch.identifiers.count }
        lastKind = batch.kind
    }

    /// The sectors of the batch and its identifiers that are as they were written.
    func sectors(of batch: BatchRemains) -> [Int] {
        let image = survey.image
        var sectors = Array(batch.firstSector..<batch.firstSector + batch.dataSectors)
        if let end = batch.identifiersEnd {
            sectors += (end - batch.identifiers.count)..<end
        }
        return sectors.filter { number in
            guard number < image.sectorCount, case .written = image.state(number) else {
                return false
            }
            return true
        }
    }
}
