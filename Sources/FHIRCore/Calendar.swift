/// The proleptic Gregorian calendar, without a time zone database: FHIR's times carry offsets.
package enum Calendar {
    package static let microsecondsPerSecond: Int64 = 1_000_000
    package static let microsecondsPerDay: Int64 = 86_400 * microsecondsPerSecond

    package static func isLeap(_ year: Int) -> Bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    package static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days from 1970-01-01 to a date. Years are counted from March, so that the leap day is the
    /// last of its year.
    package static func daysSinceEpoch(year: Int, month: Int, day: Int) -> Int {
        let shifted = month > 2 ? year : year - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// The date that is so many days after 1970-01-01.
    package static func date(daysSinceEpoch days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}

/// A moment as texts of FHIR and HTTP want it.
package enum Moment {
    /// A FHIR `instant` in UTC with milliseconds: `2024-03-01T09:30:00.125Z`.
    ///
    /// - Parameter microseconds: since 1970-01-01T00:00:00Z; what is below a millisecond is cut.
    package static func instant(microseconds: UInt64) -> String {
        let parts = Parts(microseconds)
        return "\(digits(parts.year, 4))-\(digits(parts.month))-\(digits(parts.day))"
            + "T\(digits(parts.hour)):\(digits(parts.minute)):\(digits(parts.second))"
            + ".\(digits(parts.millisecond, 3))Z"
    }

    /// An IMF-fixdate (RFC 9110 section 5.6.7): `Fri, 01 Mar 2024 09:30:00 GMT`.
    package static func httpDate(microseconds: UInt64) -> String {
        let parts = Parts(microseconds)
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        return "\(weekdays[parts.daysSinceEpoch % 7]), \(digits(parts.day)) "
            + "\(months[parts.month - 1]) \(digits(parts.year, 4)) "
            + "\(digits(parts.hour)):\(digits(parts.minute)):\(digits(parts.second)) GMT"
    }

    private static func digits(_ value: Int, _ width: Int = 2) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }

    private struct Parts {
        var daysSinceEpoch: Int
        var year: Int
        var month: Int
        var day: Int
        var hour: Int
        var minute: Int
        var second: Int
        var millisecond: Int

        init(_ microseconds: UInt64) {
            let seconds = Int(microseconds / 1_000_000)
            daysSinceEpoch = seconds / 86_400
            (year, month, day) = Calendar.date(daysSinceEpoch: daysSinceEpoch)
            hour = seconds % 86_400 / 3_600
            minute = seconds % 3_600 / 60
            second = seconds % 60
            millisecond = Int(microseconds % 1_000_000 / 1_000)
        }
    }
}
