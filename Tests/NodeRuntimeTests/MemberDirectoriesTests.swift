import Foundation
import Primitives
import Testing

@testable import NodeRuntime

@Suite struct MemberDirectoriesTests {
    @Test func theFirstDirectoryOfAMemberStays() throws {
        try withTemporaryDirectory { path in
            let directories = try MemberDirectories(path: path)
            #expect(directories.check(5, of: NodeID(1)) == .new)
            #expect(try directories.remember(5, of: NodeID(1)))
            #expect(try directories.remember(5, of: NodeID(1)))
            #expect(try !directories.remember(6, of: NodeID(1)))
            #expect(directories.check(5, of: NodeID(1)) == .known)
            #expect(directories.check(6, of: NodeID(1)) == .other)
            #expect(try directories.remember(7, of: NodeID(2)))

            let again = try MemberDirectories(path: path)
            #expect(again.directory(of: NodeID(1)) == 5)
            #expect(again.directory(of: NodeID(2)) == 7)
            #expect(again.directory(of: NodeID(3)) == nil)
        }
    }

    @Test func aDamagedFileIsRefused() throws {
        try withTemporaryDirectory { path in
            _ = try MemberDirectories(path: path).remember(0xAB, of: NodeID(0xCD))
            let file = URL(fileURLWithPath: "\(path)/peers")
            let whole = try Data(contentsOf: file)
            for position in whole.indices {
                var damaged = whole
                damaged[position] ^= 1
                try damaged.write(to: file)
                #expect(throws: ConfigurationError.self, "byte \(position)") {
                    try MemberDirectories(path: path)
                }
            }
            try whole.dropLast().write(to: file)
            #expect(throws: ConfigurationError.self) { try MemberDirectories(path: path) }
        }
    }
}
