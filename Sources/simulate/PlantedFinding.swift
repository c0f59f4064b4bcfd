// Built only with the package trait `PlantedBugs`.
#if PlantedBugs

    import Foundation

    /// How a planted bug was found.
    struct PlantedFinding {
        var seedsTaken: Int
        /// The report, or where the process crashed.
        var what: String

        /// Whether a mistake in reads can have led to it: a client was told what is not so, or a
        /// replica broke an invariant of its own.
        var isOfReads: Bool {
            [Self.byClients, Self.byInvariants].contains(checker)
        }

        /// Which checker reported it: each says it in its own words.
        var checker: String {
            for (words, name) in Self.checkers where words.allSatisfy(what.contains) { return name }
            return "another: \(what.prefix(120))"
        }

        /// The checker of what clients were told.
        static let byClients = "linearizability"
        static let byInvariants = "invariants of a replica"

        private static let checkers: [([String], String)] = [
            (["does not end"], "progress"),
            (["the process ended"], "a precondition of the code itself"),
            (["has leaders"], "election safety"),
            (["leader ", ", committed in"], "leader completeness"),
            (["writes another entry"], "log matching"),
            (["votes for "], "one vote in a term"),
            ([" commits ", "others of"], "state-machine safety"),
            (["which no quorum of"], "commit at a quorum"),
            (["too few zones"], "the zone rule"),
            (["commits by counting"], "commit of the leader's term only"),
            ([" says ", "and its disk has"], "promises that are durable"),
            (["applies another entry"], "state-machine safety"),
            (["applies", "is not committed"], "state-machine safety"),
            (["is to be applied where"], "state-machine safety"),
            (["another digest"], "digests"),
            ([" differ"], "digests"),
            (["linearizable"], byClients),
            (["no progress"], "progress"),
            (["its disk has forgotten nothing"], "quarantine"),
            (["its disk has forgotten"], "quarantine"),
            (["the log came back with"], "recovery"),
            (["dropped in silence"], "recovery"),
            (["removes what"], "truncation"),
            (["is applied at", "and at"], "exactly once"),
            (["met a breach"], "contract breach"),
            (["was acknowledged"], "acknowledged writes"),
            (["cannot start"], "restart"),
            (["cannot open its log"], "restart"),
            (["cannot write its log"], "log"),
            ([": replica ", " of group "], byInvariants),
            ([": node "], "invariants of a node"),
        ]
    }

#endif
