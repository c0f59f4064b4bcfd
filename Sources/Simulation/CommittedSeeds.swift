/// Seeds that together reach every rare path that is expected of them: `simulate --committed` runs
/// them all, and fails when one is not clean or when a path is not reached.
package enum CommittedSeeds {
    package static let list = Array(UInt64(1000)..<1100) + [1191]

    /// Paths that the list does not reach yet: each is to be reached, or given up with a reason.
    package static let unreached: [RarePath] = []
}
