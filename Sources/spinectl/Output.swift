import ArgumentParser
import Foundation

/// What a verb prints: a table for people or JSON for programs. The one place where the two part.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table, json
}

struct OutputOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "How to print: table or json.")
    var output = OutputFormat.table

    /// - Parameters:
    ///   - columns: headings of the table; an empty list prints rows without headings.
    ///   - rows: one string per column.
    ///   - json: the same as a value.
    func print(columns: [String], rows: [[String]], json: some Encodable) throws {
        switch output {
        case .table: Self.printTable(columns, rows)
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            Swift.print(String(decoding: try encoder.encode(json), as: UTF8.self))
        }
    }

    private static func printTable(_ columns: [String], _ rows: [[String]]) {
        let all = (columns.isEmpty ? [] : [columns]) + rows
        // A line of one cell is a sentence, not a column.
        let cells = all.filter { $0.count > 1 }
        let count = cells.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in
            cells.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        for row in all {
            var line = ""
            for (column, cell) in row.enumerated() {
                line += cell
                if column < row.count - 1 {
                    line += String(repeating: " ", count: widths[column] - cell.count + 2)
                }
            }
            Swift.print(line)
        }
    }
}

/// Bytes as a person reads them: the text where they are printable UTF-8, else hexadecimal.
func display(_ bytes: [UInt8]) -> String {
    if let text = String(validating: bytes, as: UTF8.self),
        text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
    {
        return text
    }
    return "0x"
        + bytes.map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }
        .joined()
}

func hexadecimal(_ id: UInt64) -> String { String(id, radix: 16) }
