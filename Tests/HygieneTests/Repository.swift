import Foundation

/// The checked-out sources that the hygiene tests read, found from this file's own place.
struct Repository {
    struct File {
        /// Relative to the root.
        var path: String
        var text: String
    }

    let root: URL

    init(thisFile: String = #filePath) {
        root = URL(filePath: thisFile).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }

    /// Text files below a folder, in the order of their paths. Hidden ones and build products are
    /// left out.
    func files(below folder: String, extensions: Set<String>) throws -> [File] {
        let base = root.appending(path: folder)
        guard
            let walk = FileManager.default.enumerator(
                at: base, includingPropertiesForKeys: nil, options: [.skipsHiddenFiles])
        else { return [] }
        var files: [File] = []
        for case let url as URL in walk where extensions.contains(url.pathExtension) {
            let path = folder + url.path().dropFirst(base.path().count)
            files.append(File(path: path, text: try String(contentsOf: url, encoding: .utf8)))
        }
        return files.sorted { $0.path < $1.path }
    }

    func swiftFiles(ofTarget target: String) throws -> [File] {
        try files(below: "Sources/\(target)", extensions: ["swift"])
    }

    func targets() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "Sources").path())
            .filter { !$0.hasPrefix(".") }.sorted()
    }
}
