import FHIRCore
import FHIRServer
import Foundation
import HTTPTypes
import Testing

/// Published resources, when they are beside the checkout (`../shared/fhir`), and resources made
/// from a seed in any case: what is read back is what was sent.
@Suite struct RoundTripTests {
    private static let shared = URL(fileURLWithPath: #filePath)
        .resolvingSymlinksInPath().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("shared/fhir")

    /// JSON files of a folder in order of their names; nil when it is not there.
    private static func files(_ folder: String) -> [(name: String, bytes: [UInt8])]? {
        let url = shared.appendingPathComponent(folder)
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: url.path) else {
            print("skipped: no \(folder) beside the checkout")
            return nil
        }
        return names.filter { $0.hasSuffix(".json") }.sorted().map { name in
            let data = try? Data(contentsOf: url.appendingPathComponent(name))
            return (name, data.map { [UInt8]($0) } ?? [])
        }
    }

    @Test func publishedExamplesSurvive() async throws {
        guard let files = Self.files("r4-examples") else { return }
        try await withFHIR { fhir in
            var count = 0
            for (name, bytes) in files {
                let sent = try JSONParser.parse(bytes)
                guard let type = sent["resourceType"]?.string, let id = sent["id"]?.string else {
                    Issue.record("\(name) is no resource with an id")
                    continue
                }
                let put = try await fhir.send(.put, "\(type)/\(id)", bytes: bytes)
                #expect(put.status == 201, "\(name): \(put.issue.diagnostics ?? "")")
                let read = try await fhir.get("\(type)/\(id)")
                #expect(withoutVersion(read.body) == withoutVersion(sent), "\(name)")
                #expect(
                    numberLexemes(read.text) == numberLexemes(bytes), "\(name): other numbers")
                let found = try await fhir.get("\(type)?_id=\(id)")
                #expect(found.found == ["\(type)/\(id)"])
                count += 1
            }
            #expect(count == files.count && count > 0)
        }
    }

    @Test func syntheticPatientsSurvive() async throws {
        guard let files = Self.files("synthea") else { return }
        let first = files.filter { $0.name.hasPrefix("hospital") || $0.name.hasPrefix("practit") }
        let patients = files.filter { file in !first.contains { $0.name == file.name } }
        try await withFHIR { fhir in
            var resources = 0
            for (name, bytes) in first + patients {
                let before = fhir.service.executed
                let sent = try JSONParser.parse(bytes)
                let reply = try await fhir.send(.post, "", bytes: bytes)
                #expect(reply.status == 200, "\(name): \(reply.issue.diagnostics ?? "")")
                #expect(fhir.service.executed == before + 1, "\(name) is not one log entry")
                resources += try await compare(fhir, sent, reply, name)
            }
            #expect(resources > 0)
        }
    }

    /// Reads every resource of a loaded bundle, and compares it with what was sent.
    private func compare(
        _ fhir: FHIRClient, _ sent: JSONValue, _ reply: FHIRReply, _ name: String
    ) async throws -> Int {
        let entries = sent["entry"]?.array ?? []
        #expect(reply.entries.count == entries.count, "\(name)")
        var identities: [String: String] = [:]
        for (entry, answer) in zip(entries, reply.entries) {
            let location = try #require(answer["response"]?["location"]?.string)
            let parts = location.split(separator: "/")
            let identity = "\(parts[3])/\(parts[4])"
            identities[try #require(entry["fullUrl"]?.string)] = identity
        }
        for entry in entries {
            let identity = try #require(identities[entry["fullUrl"]?.string ?? ""])
            let resource = try #require(entry["resource"])
            let read = try await fhir.get(identity)
            let expected = withoutID(withoutVersion(resolved(resource, identities)))
            #expect(withoutID(withoutVersion(read.body)) == expected, "\(name) \(identity)")
        }
        return entries.count
    }

    private func resolved(_ value: JSONValue, _ identities: [String: String]) -> JSONValue {
        switch value {
        case .object(var object):
            object.mapValues { name, member in
                if name == "reference", let target = member.string.flatMap({ identities[$0] }) {
                    return .string(target)
                }
                return resolved(member, identities)
            }
            return .object(object)
        case .array(let values): return .array(values.map { resolved($0, identities) })
        default: return value
        }
    }

    @Test func madeUpResourcesSurvive() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("made-up resources, seed \(seed)")
        try await withFHIR { fhir in
            var maker = ResourceMaker(seed: seed)
            for number in 0..<200 {
                let sent = maker.resource("m\(number)")
                let put = try await fhir.put("Basic/m\(number)", sent)
                #expect(put.status == 201, "seed \(seed)")
                let read = try await fhir.get("Basic/m\(number)")
                #expect(withoutVersion(read.body) == withoutVersion(sent), "seed \(seed)")
            }
        }
    }

    private func withoutVersion(_ resource: JSONValue) -> JSONValue {
        guard case .object(var object) = resource,
            case .object(var meta)? = object["meta"]
        else { return resource }
        meta["versionId"] = nil
        meta["lastUpdated"] = nil
        object["meta"] = meta.members.isEmpty ? nil : .object(meta)
        return .object(object)
    }

    private func withoutID(_ resource: JSONValue) -> JSONValue {
        guard case .object(var object) = resource else { return resource }
        object["id"] = nil
        return .object(object)
    }

    /// The numbers of a JSON text as they are written, found without the parser under test.
    private func numberLexemes(_ text: [UInt8]) -> [[UInt8]] {
        var lexemes: [[UInt8]] = []
        var current: [UInt8] = []
        var isInString = false
        var isEscaped = false
        for byte in text {
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
                continue
            }
            let isOfNumber =
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+")
                || byte == UInt8(ascii: ".")
                || (!current.isEmpty && (byte | 0x20) == UInt8(ascii: "e"))
            if isOfNumber {
                current.append(byte)
            } else {
                if !current.isEmpty { lexemes.append(current) }
                current = []
                isInString = byte == UInt8(ascii: "\"")
            }
        }
        return lexemes
    }
}
