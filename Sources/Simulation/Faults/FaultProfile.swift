/// Which faults a run injects, and how often: drawn from the seed. A run enables a random part of
/// the classes with random rates ("Swarm Testing", Groce et al., ISSTA 2012): a fault that is always
/// there hides what only happens without it, and rare combinations would never come.
struct FaultProfile {
    private var rates: [Int]
    /// Microseconds between two of the deeds that strike nodes or links, on average.
    var deedInterval: UInt64
    /// Microseconds of a message's way, at least.
    var latency: ClosedRange<UInt64>
    /// Microseconds of a sync.
    var syncLatency: ClosedRange<UInt64>
    var engineLatency: ClosedRange<UInt64>

    static let quiet = FaultProfile(rates: FaultClass.allCases.map { _ in 0 })

    private init(rates: [Int]) {
        self.rates = rates
        deedInterval = 1_000_000
        latency = 200...800
        syncLatency = 300...1_500
        engineLatency = 50...300
    }

    init(allowed: FaultSet, chance: inout Chance) {
        self.init(rates: [])
        for fault in FaultClass.allCases {
            // All draws are made whatever is allowed, so that a smaller set of faults keeps the
            // rates of those that are left.
            let isEnabled = chance.below(100) < 55
            let rate = Int(chance.skewed(1...1_000))
            rates.append(isEnabled && allowed.contains(fault) ? rate : 0)
        }
        deedInterval = chance.within(60_000...900_000)
        let slowest = chance.within(400...8_000)
        latency = 150...(150 + slowest)
        syncLatency = 200...(200 + chance.skewed(200...20_000))
        engineLatency = 30...(30 + chance.skewed(100...10_000))
    }

    /// Relative weight of a deed, 0 when it is not done.
    func weight(_ fault: FaultClass) -> Int { rates[Self.position(fault)] }

    /// Out of a million messages.
    func messageRate(_ fault: FaultClass) -> Int { weight(fault) * 60 }

    func enables(_ fault: FaultClass) -> Bool { weight(fault) > 0 }

    var enabled: FaultSet { FaultSet(FaultClass.allCases.filter(enables)) }

    private static func position(_ fault: FaultClass) -> Int {
        FaultClass.allCases.firstIndex(of: fault)!
    }
}
