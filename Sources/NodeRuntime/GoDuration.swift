/// Durations as etcd's flags have them (Go's `time.ParseDuration`): numbers with units, one after
/// another, such as `10m`, `1h30m` or `1.5s`. Not negative.
package enum GoDuration {
    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("ns", 1), ("us", 1_000), ("µs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000),
        ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]
    /// About 31 years: what is longer is a mistake, and sums of it must not overflow.
    private static let secondsMax = 1e9

    /// nil when the text is no duration.
    package static func parse(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        var rest = text[...]
        var nanoseconds = 0.0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest[digits.endIndex...]
            let name = rest.prefix { !($0.isASCII && ($0.isNumber || $0 == ".")) }
            rest = rest[name.endIndex...]
            guard let number = Double(digits), let unit = units.first(where: { $0.name == name })
            else { return nil }
            nanoseconds += number * Double(unit.nanoseconds)
            guard nanoseconds <= secondsMax * 1e9 else { return nil }
        }
        return .nanoseconds(Int64(nanoseconds))
    }
}
