/// Seeds that together reach every rare path that is expected of them: `simulate --committed` runs
/// them all, and fails when one is not clean or when a path is not reached.
package enum CommittedSeeds {
    package static let list: [UInt64] = [
        1
    ]

    /// Not reached by the list, each for a reason.
    package static let unreached: [RarePath] = []
}
