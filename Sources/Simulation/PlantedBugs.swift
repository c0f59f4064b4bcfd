// Built only with the package trait `PlantedBugs`.
#if PlantedBugs

    import Primitives

    /// The mistakes that this build can make, for whoever runs it.
    package enum PlantedBugs {
        package static var all: [(name: String, breaks: String, isSeenByClientsOnly: Bool)] {
            PlantedBug.allCases.map { ($0.rawValue, $0.breaks, $0.isSeenByClientsOnly) }
        }

        /// Switches one on for the rest of the process.
        ///
        /// - Returns: false when there is none of that name.
        package static func plant(_ name: String) -> Bool {
            guard let bug = PlantedBug(rawValue: name) else { return false }
            PlantedBug.active = bug
            return true
        }
    }

#endif
