/// Lets the options that verbs share stand before the verb, as etcdctl's users write them:
/// `spinectl --endpoints H:P put k v` is read as `spinectl put --endpoints H:P k v`.
enum ArgumentOrder {
    private static let sharedOptions: Set<String> = [
        "--endpoints", "--keyspace", "--timeout", "--output", "-o",
    ]
    /// Verbs whose own verbs follow.
    private static let families: Set<String> = ["snapshot"]

    static func verbFirst(_ arguments: [String]) -> [String] {
        var leading: [String] = []
        var rest = arguments[...]
        while let option = rest.first, sharedOptions.contains(name(of: option)) {
            leading.append(option)
            rest = rest.dropFirst()
            if !option.contains("="), let value = rest.first {
                leading.append(value)
                rest = rest.dropFirst()
            }
        }
        guard !leading.isEmpty, let verb = rest.first, !verb.hasPrefix("-") else {
            return arguments
        }
        let words = rest.prefix(families.contains(verb) ? 2 : 1)
        return words + leading + rest.dropFirst(words.count)
    }

    private static func name(of option: String) -> String {
        String(option.prefix { $0 != "=" })
    }
}
