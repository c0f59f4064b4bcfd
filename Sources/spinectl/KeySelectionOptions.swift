import ArgumentParser
import SpineClient

/// Which keys a verb is about.
struct KeySelectionOptions: ParsableArguments {
    @Flag(help: "Every key that starts with KEY.")
    var prefix = false
    @Flag(help: "KEY and every key after it.")
    var fromKey = false
    @Argument(help: "The key.")
    var key: String
    @Argument(help: "Up to, not including, this key.")
    var rangeEnd: String?

    func validate() throws {
        let ways = [prefix, fromKey, rangeEnd != nil].count(where: \.self)
        guard ways <= 1 else {
            throw ValidationError("--prefix, --from-key and RANGE-END exclude each other")
        }
        // Only "every key" may be written with an empty one.
        guard !key.isEmpty || prefix || fromKey else { throw ValidationError("KEY is empty") }
    }

    var selection: KeySelection {
        if prefix { return .prefix(key) }
        if fromKey { return .from(Array(key.utf8)) }
        if let rangeEnd { return .range(Array(key.utf8), upTo: Array(rangeEnd.utf8)) }
        return .key(key)
    }
}
