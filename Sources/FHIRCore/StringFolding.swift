/// Text as string searches compare it: without case, accents and superfluous white space (FHIR R4
/// "Search", string: "normalized by case and combining characters").
///
/// Accents are the combining diacritical marks, whether composed or not; letters that Unicode does
/// not decompose (`ø`, `ł`, `ß`) become the plain letters that stand for them. Vowel signs of
/// other scripts stay.
package enum StringFolding {
    package static func fold(_ text: some StringProtocol) -> [UInt8] {
        var folded: [UInt8] = []
        folded.reserveCapacity(text.utf8.count)
        var pendingSpace = false
        for scalar in text.unicodeScalars {
            if scalar.properties.isWhitespace {
                pendingSpace = !folded.isEmpty
                continue
            }
            if isAccent(scalar) { continue }
            if pendingSpace {
                folded.append(0x20)
                pendingSpace = false
            }
            append(scalar, to: &folded)
        }
        return folded
    }

    private static func append(_ scalar: Unicode.Scalar, to folded: inout [UInt8]) {
        if scalar.isASCII {
            let byte = UInt8(truncatingIfNeeded: scalar.value)
            let isUpper = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
            folded.append(isUpper ? byte | 0x20 : byte)
        } else if let replacement = table[scalar.value] {
            folded.append(contentsOf: replacement)
        } else {
            folded.append(contentsOf: String(scalar).utf8)
        }
    }

    /// The blocks of combining marks that `Tables/generate.py` takes for accents.
    private static func isAccent(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0300...0x036F, 0x1AB0...0x1AFF, 0x1DC0...0x1DFF, 0x20D0...0x20FF,
            0xFE20...0xFE2F:
            true
        default: false
        }
    }

    /// Scalar to folded UTF-8, from lines of `c9:65 df:73.73`.
    private static let table: [UInt32: [UInt8]] = {
        var table: [UInt32: [UInt8]] = [:]
        for entry in FoldingTable.text.split(whereSeparator: \.isWhitespace) {
            let sides = entry.split(separator: ":", omittingEmptySubsequences: false)
            guard sides.count == 2, let from = UInt32(sides[0], radix: 16) else {
                preconditionFailure("folding table entry \(entry)")
            }
            table[from] = sides[1].split(separator: ".").flatMap { code -> [UInt8] in
                guard let value = UInt32(code, radix: 16), let scalar = Unicode.Scalar(value)
                else { preconditionFailure("folding table entry \(entry)") }
                return Array(String(scalar).utf8)
            }
        }
        return table
    }()
}
