import FHIRCore
import Testing

@Suite struct DateIntervalTests {
    private static let day: Int64 = 86_400_000_000

    @Test(arguments: [
        ("1970", 0, 365 * day), ("1970-01", 0, 31 * day), ("1970-01-01", 0, day),
        ("1969-12-31", -day, 0), ("1972-02", 761 * day, 790 * day),
        ("2000-02-29", 11_016 * day, 11_017 * day),
        ("1970-12", 334 * day, 365 * day),
        ("1970-01-01T00:00:01Z", 1_000_000, 2_000_000),
        ("1970-01-01T01:00:00+01:00", 0, 1_000_000),
        ("1969-12-31T19:30:00.5-04:30", 500_000, 600_000),
        ("1970-01-01T00:00:00.123456789Z", 123_456, 123_457),
        ("1970-01-01T00:00:00.120Z", 120_000, 121_000),
        ("0001-01-01", -719_162 * day, -719_161 * day),
        ("9999-12-31", 2_932_896 * day, 2_932_897 * day),
    ])
    func partialDatesAreIntervals(_ text: String, _ lower: Int64, _ upper: Int64) {
        #expect(DateInterval(text) == DateInterval(lower: lower, upper: upper))
    }

    @Test(arguments: [
        "", "70", "0000", "19700", "1970-", "1970-13", "1970-00", "1970-1", "1970-02-29",
        "1900-02-29", "1970-04-31", "1970-01-00", "1970-01-01T", "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z", "1970-01-01T23:59:60Z", "1970-01-01T00:00:00",
        "1970-01-01T00:00Z", "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00+14:01",
        "1970-01-01T00:00:00+15:00", "1970-01-01T00:00:00Zx", "1970-01-01 ", " 1970", "-1970",
        "1970/01/01", "１９７０",
    ])
    func otherTextsAreNone(_ text: String) {
        #expect(DateInterval(text) == nil)
    }

    @Test func searchesMayLeaveOutSecondsAndZone() {
        let minute = DateInterval(lower: 0, upper: 60_000_000)
        #expect(DateInterval("1970-01-01T00:00Z", form: .search) == minute)
        #expect(DateInterval("1970-01-01T00:00", form: .search) == minute)
        #expect(
            DateInterval("1970-01-01T00:00:00", form: .search)
                == DateInterval(lower: 0, upper: 1_000_000))
        #expect(DateInterval("1970-01-01T00", form: .search) == nil)
    }

    @Test func everyDayOfFourCenturiesComesBack() {
        var expected = (year: 1800, month: 1, day: 1)
        for days in Calendar.daysSinceEpoch(year: 1800, month: 1, day: 1)...50_000 {
            #expect(Calendar.date(daysSinceEpoch: days) == expected)
            expected.day += 1
            if expected.day > Calendar.days(inMonth: expected.month, of: expected.year) {
                expected = (expected.year, expected.month + 1, 1)
            }
            if expected.month > 12 { expected = (expected.year + 1, 1, 1) }
        }
        #expect(expected.year == 2106)
    }

    @Test func momentsAreWrittenAsFHIRAndHTTPWantThem() {
        // RFC 9110 section 5.6.7's own example.
        #expect(
            Moment.httpDate(microseconds: 784_111_777_000_000) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(Moment.instant(microseconds: 784_111_777_012_999) == "1994-11-06T08:49:37.012Z")
        #expect(Moment.instant(microseconds: 0) == "1970-01-01T00:00:00.000Z")
        let text = "2024-02-29T23:59:59.999Z"
        let lower = DateInterval(text).map { UInt64($0.lower) }
        #expect(lower.map { Moment.instant(microseconds: $0) } == text)
    }
}
