import Primitives

extension LogRecovery {
    /// Makes the device agree with what was read: after this, all of that is durable, and nothing
    /// stands behind it. A crash on the way leaves a log that reads the same.
    mutating func repair() throws(LogError) {
        guard let last = headers.last else { return }
        do {
            if let discarded { try device.remove(discarded) }
            var touched: Set<SegmentNumber> = []
            for range in remains {
                try zero(range, of: last.number)
                touched.insert(last.number)
            }
            for batch in unproven where batch.sequence > durableSequence {
                try rewrite(batch.data, of: batch.segment)
                try rewrite(batch.identifiers, of: batch.segment)
                touched.insert(batch.segment)
            }
            for segment in touched.sorted() { try device.sync(segment) }
        } catch {
            throw .device(error)
        }
    }

    /// Batches that begin where torn ones stood must find zeroes: a sector of a dropped batch would
    /// otherwise be read as rot, or as the next batch.
    private func zero(_ sectors: Range<Int>, of segment: SegmentNumber) throws(LogDeviceError) {
        let zeroes = Bytes(repeating: 0, count: min(sectors.count * Sector.size, 1 << 20))
        var next = sectors.lowerBound
        while next < sectors.upperBound {
            let count = min(sectors.upperBound - next, zeroes.count / Sector.size)
            try write(zeroes[..<(count * Sector.size)], at: next, of: segment)
            next += count
        }
    }

    /// Bytes read back may be in the system's cache only, marked clean after a sync that failed:
    /// a further sync would skip them. Writing them again makes it carry them.
    private func rewrite(
        _ sectors: Range<Int>, of segment: SegmentNumber
    ) throws(LogDeviceError) {
        let bytes: Bytes
        do {
            bytes = try self.bytes(of: segment, sectors: sectors)
        } catch .device(let error) {
            throw error
        } catch {
            preconditionFailure("reading bytes failed with \(error)")
        }
        try write(bytes[...], at: sectors.lowerBound, of: segment)
    }

    private func write(
        _ bytes: ArraySlice<UInt8>, at sector: Int, of segment: SegmentNumber
    ) throws(LogDeviceError) {
        let device = device
        let outcome = bytes.withUnsafeBytes { raw in
            Result { () throws(LogDeviceError) in
                try device.write(segment, at: sector * Sector.size, raw)
            }
        }
        try outcome.get()
    }
}
