// swift-tools-version: 6.2

import PackageDescription

// Targets stand in rings (docs/ARCHITECTURE.md): pure, edge, shell, executables, tests.
// Imports go downwards only. Tests/HygieneTests holds the rules that a manifest cannot state.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func pure(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func test(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioHTTP2: Target.Dependency = .product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioHPACK: Target.Dependency = .product(name: "NIOHPACK", package: "swift-nio-http2")
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let arguments: Target.Dependency = .product(
    name: "ArgumentParser", package: "swift-argument-parser")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let lifecycle: Target.Dependency = .product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let hummingbirdTesting: Target.Dependency = .product(
    name: "HummingbirdTesting", package: "hummingbird")

let package = Package(
    name: "spine-record-store",
    products: [
        .executable(name: "spined", targets: ["spined"]),
        .executable(name: "spinectl", targets: ["spinectl"]),
        .executable(name: "simulate", targets: ["simulate"]),
        .library(name: "SpineClient", targets: ["SpineClient"]),
    ],
    traits: [
        .trait(
            name: "PlantedBugs",
            description: "Mistakes for the simulator to find. Never enabled in what ships.")
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(
            url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.0.0"),
    ],
    targets: [
        // Pure ring: values in, values out. No Foundation, NIO, logging, clock, randomness, async.
        pure("Primitives"),
        pure("Consensus", ["Primitives"]),
        pure("MultiRaft", ["Primitives", "Consensus"]),
        pure("ReplicatedLog", ["Primitives"]),
        pure("RecordModel", ["Primitives"]),
        pure("StorageEngine", ["Primitives"]),
        pure("RecordStore", ["Primitives", "RecordModel", "StorageEngine"]),
        pure(
            "Simulation",
            [
                "Primitives", "Consensus", "ReplicatedLog", "MultiRaft", "RecordModel",
                "StorageEngine", "RecordStore",
            ]),
        .target(
            name: "FHIRCore", exclude: ["Tables/generate.py"], swiftSettings: strict),

        // Edge ring: one door each to C libraries and to the wire.
        .systemLibrary(
            name: "CRocksDB", pkgConfig: "rocksdb", providers: [.apt(["librocksdb-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .target(name: "RocksDBShim", dependencies: ["CRocksDB"]),
        .target(
            name: "RocksDBEngine",
            dependencies: ["Primitives", "StorageEngine", "CRocksDB", "RocksDBShim"],
            swiftSettings: strict),
        .target(
            name: "SnapshotArchive",
            dependencies: ["Primitives", "RecordModel", "COpenSSL", "CZstd"],
            swiftSettings: strict),
        .target(
            name: "WireProtocol",
            dependencies: ["Primitives", "Consensus", "MultiRaft", "RecordModel", protobuf],
            exclude: ["Protos"],
            swiftSettings: strict),
        .target(
            name: "RPC",
            dependencies: [nioCore, nioPosix, nioHTTP1, nioHTTP2, nioHPACK, log],
            swiftSettings: strict),

        // Shell ring: threads, clocks, files, sockets.
        .target(
            name: "NodeRuntime",
            dependencies: [
                "Primitives", "Consensus", "MultiRaft", "ReplicatedLog", "RecordModel",
                "StorageEngine", "RecordStore", "RocksDBEngine", "WireProtocol", "RPC", nioCore,
                nioPosix, nioHTTP1,
                protobuf, log,
            ],
            swiftSettings: strict),
        .target(
            name: "SpineClient",
            dependencies: [
                "Primitives", "RecordModel", "WireProtocol", "RPC", nioCore, nioPosix, protobuf,
                log,
            ],
            swiftSettings: strict),
        .target(
            name: "FHIRServer",
            dependencies: [
                "Primitives", "RecordModel", "FHIRCore", hummingbird, lifecycle, nioCore, log,
            ],
            swiftSettings: strict),

        // Executables: composition roots, thin.
        .executableTarget(
            name: "spined",
            dependencies: [
                "NodeRuntime", "FHIRServer", "RPC", "RecordModel", "RecordStore", "Primitives",
                nioCore, nioPosix, arguments, log,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "spinectl",
            dependencies: [
                "SpineClient", "SnapshotArchive", "RecordModel", "Primitives", "WireProtocol",
                arguments,
            ],
            swiftSettings: strict),

        // Links the pure ring alone, so that its optimised build is quick.
        .executableTarget(
            name: "simulate", dependencies: ["Simulation"], swiftSettings: strict),

        // Measurements that decisions rest on; outside the tests.
        .executableTarget(
            name: "layoutbench", dependencies: ["Primitives", "StorageEngine", "RocksDBEngine"],
            path: "Benchmarks/Layout", swiftSettings: strict),

        // Tests.
        test("HygieneTests", []),
        test("PrimitivesTests", ["Primitives"]),
        test("ConsensusTests", ["Consensus", "Primitives"]),
        test("MultiRaftTests", ["MultiRaft", "Consensus", "Primitives"]),
        test("ReplicatedLogTests", ["ReplicatedLog", "Primitives"]),
        // Damages RocksDB directories, and says what becomes of them: StorageEngineTests runs it.
        .target(name: "FailingFiles", path: "Tests/FailingFiles"),
        .executableTarget(
            name: "storage-damage",
            dependencies: ["FailingFiles", "RocksDBEngine", "StorageEngine", "Primitives"],
            path: "Tests/StorageDamage",
            swiftSettings: strict),
        test("StorageEngineTests", ["StorageEngine", "RocksDBEngine", "Primitives"]),
        test("RecordModelTests", ["RecordModel", "Primitives"]),
        test("RecordStoreTests", ["RecordStore", "RecordModel", "StorageEngine", "Primitives"]),
        test(
            "SimulationTests",
            [
                "Simulation", "Primitives", "Consensus", "ReplicatedLog", "MultiRaft",
                "RecordModel", "StorageEngine", "RecordStore",
            ]),
        test("FHIRCoreTests", ["FHIRCore"]),
        test(
            "FHIRServerTests",
            [
                "FHIRServer", "FHIRCore", "RecordModel", "RecordStore", "StorageEngine",
                "Primitives", hummingbirdTesting,
            ]),
        test("SnapshotArchiveTests", ["SnapshotArchive", "RecordModel", "Primitives"]),
        test(
            "WireProtocolTests",
            ["WireProtocol", "RecordModel", "Consensus", "MultiRaft", "Primitives", protobuf]),
        test(
            "RPCTests",
            ["RPC", nioCore, nioPosix, nioEmbedded, nioHTTP1, nioHTTP2, nioHPACK, log]),
        test(
            "NodeRuntimeTests",
            [
                "NodeRuntime", "Consensus", "MultiRaft", "ReplicatedLog", "RecordModel",
                "RecordStore",
                "StorageEngine", "RocksDBEngine", "WireProtocol", "RPC", "SpineClient",
                "Primitives", nioCore, nioPosix, protobuf, log,
            ]),
        test(
            "SpineClientTests",
            [
                "SpineClient", "RecordModel", "WireProtocol", "RPC", "Primitives", nioCore,
                nioPosix, protobuf,
            ]),
    ],
    cxxLanguageStandard: .cxx17
)
