import Primitives
import RecordModel

/// Which of many events are for which of many ranges.
enum WatchMatcher {
    /// Up to so many ranges are compared one by one.
    private static let plainMax = 4

    /// - Parameters:
    ///   - takes: whether the range of that number takes an event whose key it holds.
    /// - Returns: by event, and then by no order that means anything.
    static func matches(
        _ events: [WatchEvent], for ranges: [KeyRange], takes: (Int, WatchEvent) -> Bool
    ) -> [WatchMatch] {
        var matches: [WatchMatch] = []
        let find = finder(ranges)
        for (position, event) in events.enumerated() {
            find(event.key) { item in
                guard takes(Int(item), event) else { return }
                matches.append(WatchMatch(item: item, event: Int32(position)))
            }
        }
        return matches
    }

    /// Calls its second argument with the numbers of all ranges that hold the key.
    static func finder(_ ranges: [KeyRange]) -> (Bytes, (Int32) -> Void) -> Void {
        if ranges.count <= plainMax {
            return { key, body in
                for (item, range) in ranges.enumerated() where range.contains(key) {
                    body(Int32(item))
                }
            }
        }
        // The tree's shape decides the time only.
        var index = WatchIndex(seed: UInt64(ranges.count))
        for (item, range) in ranges.enumerated() { _ = index.insert(Int32(item), range) }
        return { key, body in index.forEach(watching: key, body) }
    }
}
