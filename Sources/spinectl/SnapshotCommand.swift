import ArgumentParser

struct SnapshotCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Makes, checks and restores recovery points.",
        subcommands: [
            SnapshotCreateCommand.self, SnapshotVerifyCommand.self, SnapshotRestoreCommand.self,
        ])
}
