import Foundation

/// A file system in memory that is soon full. It needs the right to mount, so tests that use it are
/// skipped without.
final class SmallFileSystem {
    static let isPossible = SmallFileSystem(bytes: 1 << 20) != nil

    let directory: TemporaryDirectory
    private let bytes: Int

    /// - Parameter bytes: of which a quarter is taken by ballast.
    init?(bytes: Int) {
        guard let directory = try? TemporaryDirectory() else { return nil }
        let mounted = "size=\(bytes)".withCString {
            mount("tmpfs", directory.path, "tmpfs", 0, $0)
        }
        guard mounted == 0 else { return nil }
        self.directory = directory
        self.bytes = bytes
        let ballast = Data(repeating: 0, count: bytes / 4)
        guard (try? ballast.write(to: ballastFile)) != nil else { return nil }
    }

    deinit { umount2(directory.path, Int32(MNT_DETACH)) }

    /// Removes the ballast.
    func makeRoom() throws { try FileManager.default.removeItem(at: ballastFile) }

    /// Takes what is left for ballast, to the last block.
    func fill() throws {
        try Data().write(to: ballastFile)
        let ballast = try FileHandle(forWritingTo: ballastFile)
        let block = Data(repeating: 0, count: 4096)
        for _ in 0...bytes / block.count {
            do { try ballast.write(contentsOf: block) } catch { return }
        }
        throw FileSystemIsNotFull()
    }

    private var ballastFile: URL { URL(fileURLWithPath: directory.path + "/ballast") }
}

struct FileSystemIsNotFull: Error {}
