/// JSON as text, in the order in which it is written. Only what a trace needs.
struct JSONText {
    private(set) var text = ""
    private var needsComma = false

    static func object(_ fill: (inout JSONText) -> Void) -> String {
        var json = JSONText()
        json.object(fill)
        return json.text
    }

    mutating func field(_ name: String, _ value: String) {
        begin(name)
        string(value)
    }

    mutating func field(_ name: String, _ value: UInt64) {
        begin(name)
        text += String(value)
    }

    mutating func field(_ name: String, _ value: Bool) {
        begin(name)
        text += value ? "true" : "false"
    }

    mutating func field(_ name: String, lists: [[String]]) {
        begin(name)
        text += "["
        for (i, list) in lists.enumerated() {
            text += i == 0 ? "[" : ",["
            for (j, item) in list.enumerated() {
                if j > 0 { text += "," }
                string(item)
            }
            text += "]"
        }
        text += "]"
    }

    mutating func field(_ name: String, _ fill: (inout JSONText) -> Void) {
        begin(name)
        object(fill)
    }

    private mutating func object(_ fill: (inout JSONText) -> Void) {
        text += "{"
        needsComma = false
        fill(&self)
        text += "}"
        needsComma = true
    }

    private mutating func begin(_ name: String) {
        if needsComma { text += "," }
        needsComma = true
        string(name)
        text += ":"
    }

    /// RFC 8259, section 7: quotation mark, reverse solidus and control characters are escaped.
    private mutating func string(_ value: String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"", "\\": text += "\\" + String(scalar)
            case "\u{00}"..."\u{1F}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
