import Foundation

/// A file system in memory that is soon full. It needs the right to mount, so tests that use it are
/// skipped without.
final class SmallFileSystem {
    static let isPossible = SmallFileSystem(bytes: 1 << 20) != nil

    let directory: TemporaryDirectory

    /// - Parameter bytes: of which a quarter is ballast.
    init?(bytes: Int) {
        guard let directory = try? TemporaryDirectory() else { return nil }
        let mounted = "size=\(bytes)".withCString {
            mount("tmpfs", directory.path, "tmpfs", 0, $0)
        }
        guard mounted == 0 else { return nil }
        self.directory = directory
        let ballast = Data(repeating: 0, count: bytes / 4)
        guard (try? ballast.write(to: URL(fileURLWithPath: ballastPath))) != nil else { return nil }
    }

    deinit { umount2(directory.path, Int32(MNT_DETACH)) }

    func removeBallast() throws { try FileManager.default.removeItem(atPath: ballastPath) }

    private var ballastPath: String { directory.path + "/ballast" }
}
