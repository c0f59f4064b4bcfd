/// The time that a partial date names: `1970-03` is all of March 1970. Half-open, in microseconds
/// since 1970-01-01T00:00:00Z. Dates without a time zone are taken in UTC.
///
/// Any two of these are nested or apart, never half over one another: each is one unit of a
/// calendar whose units nest. `DateTerms` relies on it.
package struct DateInterval: Hashable, Sendable {
    package var lower: Int64
    package var upper: Int64

    /// What is written in a resource, or in a search.
    package enum Form: Sendable {
        /// `date`, `dateTime` and `instant` (FHIR R4 "Data Types"): a time has seconds and zone.
        case element
        /// FHIR R4 "Search", date: seconds and zone may be missing.
        case search
    }

    /// nil for what is no date: a day that the calendar does not have, a leap second.
    package init?(_ text: some StringProtocol, form: Form = .element) {
        var reader = DateReader(Array(text.utf8))
        guard let interval = reader.read(form) else { return nil }
        self = interval
    }

    package init(lower: Int64, upper: Int64) {
        precondition(lower < upper, "interval from \(lower) to \(upper)")
        self.lower = lower
        self.upper = upper
    }
}

private struct DateReader {
    let bytes: [UInt8]
    var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var atEnd: Bool { position == bytes.count }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else {
            return false
        }
        position += 1
        return true
    }

    mutating func number(digits: Int, in range: ClosedRange<Int>) -> Int? {
        guard position + digits <= bytes.count else { return nil }
        var value = 0
        for byte in bytes[position..<position + digits] {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        guard range.contains(value) else { return nil }
        position += digits
        return value
    }

    mutating func read(_ form: DateInterval.Form) -> DateInterval? {
        guard let year = number(digits: 4, in: 1...9999) else { return nil }
        if atEnd { return days(year, 1, 1, until: (year + 1, 1, 1)) }
        guard take("-"), let month = number(digits: 2, in: 1...12) else { return nil }
        if atEnd {
            return days(
                year, month, 1, until: month == 12 ? (year + 1, 1, 1) : (year, month + 1, 1))
        }
        guard take("-"),
            let day = number(digits: 2, in: 1...Calendar.days(inMonth: month, of: year))
        else { return nil }
        let start = Calendar.daysSinceEpoch(year: year, month: month, day: day)
        let midnight = Int64(start) * Calendar.microsecondsPerDay
        if atEnd {
            return DateInterval(lower: midnight, upper: midnight + Calendar.microsecondsPerDay)
        }
        guard take("T") else { return nil }
        return readTime(midnight: midnight, form)
    }

    private func days(
        _ year: Int, _ month: Int, _ day: Int, until end: (Int, Int, Int)
    ) -> DateInterval {
        let lower = Calendar.daysSinceEpoch(year: year, month: month, day: day)
        let upper = Calendar.daysSinceEpoch(year: end.0, month: end.1, day: end.2)
        return DateInterval(
            lower: Int64(lower) * Calendar.microsecondsPerDay,
            upper: Int64(upper) * Calendar.microsecondsPerDay)
    }

    private mutating func readTime(
        midnight: Int64, _ form: DateInterval.Form
    ) -> DateInterval? {
        guard let hour = number(digits: 2, in: 0...23), take(":"),
            let minute = number(digits: 2, in: 0...59)
        else { return nil }
        var lower =
            midnight + Int64(hour * 3600 + minute * 60) * Calendar.microsecondsPerSecond
        var width = 60 * Calendar.microsecondsPerSecond
        if take(":") {
            guard let second = number(digits: 2, in: 0...59) else { return nil }
            lower += Int64(second) * Calendar.microsecondsPerSecond
            width = Calendar.microsecondsPerSecond
            if take(".") {
                guard let fraction = readFraction() else { return nil }
                lower += fraction.value
                width = fraction.width
            }
        } else if form == .element {
            return nil
        }
        guard let offset = readZone(form), atEnd else { return nil }
        lower -= offset
        return DateInterval(lower: lower, upper: lower + width)
    }

    /// Digits below a microsecond are read and cut: the interval stays one microsecond wide.
    private mutating func readFraction() -> (value: Int64, width: Int64)? {
        var value: Int64 = 0
        var width = Calendar.microsecondsPerSecond
        var count = 0
        while let digit = number(digits: 1, in: 0...9) {
            count += 1
            guard width > 1 else { continue }
            width /= 10
            value += Int64(digit) * width
        }
        return count > 0 ? (value, width) : nil
    }

    /// The zone's offset from UTC in microseconds, up to 14 hours.
    private mutating func readZone(_ form: DateInterval.Form) -> Int64? {
        if take("Z") { return 0 }
        if atEnd { return form == .search ? 0 : nil }
        let sign: Int64
        if take("+") {
            sign = 1
        } else if take("-") {
            sign = -1
        } else {
            return nil
        }
        guard let hour = number(digits: 2, in: 0...14), take(":"),
            let minute = number(digits: 2, in: 0...59), hour < 14 || minute == 0
        else { return nil }
        return sign * Int64(hour * 3600 + minute * 60) * Calendar.microsecondsPerSecond
    }
}
