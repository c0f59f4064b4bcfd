/// Seeds that together reach every rare path that is expected of them: `simulate --committed` runs
/// them all, and fails when one is not clean or when a path is not reached.
package enum CommittedSeeds {
    /// The single ones reach what is rarest: an acknowledgement of entries that others have replaced, a
    /// seat that finds itself removed, a vote that the disk has lost, and what a checker once had wrong.
    package static let list =
        Array(UInt64(1000)..<1100) + [1191, 2017, 2087, 2091, 2115, 2127, 2145]

    /// Paths that the list does not reach yet: each is to be reached, or given up with a reason.
    package static let unreached: [RarePath] = []
}
