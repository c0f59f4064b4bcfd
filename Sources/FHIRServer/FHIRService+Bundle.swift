import FHIRCore
import RecordModel

extension FHIRService {
    /// FHIR R4 "RESTful API", batch and transaction: POST of a Bundle to the base.
    func bundle(_ request: FHIRRequest) async throws(FHIRFailure) -> FHIRAnswer {
        let bundle = try KeptResource.checked(try request.resource(), type: "Bundle")
        let kind = bundle["type"]?.string
        guard kind == "transaction" || kind == "batch" else {
            throw FHIRFailure(
                400, .value, "Bundle.type is transaction or batch; others are for POST Bundle",
                expression: "Bundle.type")
        }
        let sent = bundle["entry"] ?? []
        guard let entries = sent.array else {
            throw FHIRFailure(
                400, .structure, "Bundle.entry is not an array", expression: "Bundle.entry")
        }
        if entries.count > limits.bundleEntriesMax {
            throw FHIRFailure(
                413, .tooCostly,
                "\(entries.count) entries, the limit is \(limits.bundleEntriesMax)")
        }
        let answers =
            kind == "transaction"
            ? try await transaction(entries, request) : await batch(entries, request)
        var body = JSONObject()
        body["resourceType"] = "Bundle"
        body["type"] = .string("\(kind ?? "")-response")
        // FHIR's JSON knows no empty arrays (R4 json.html).
        if !answers.isEmpty { body["entry"] = .array(answers) }
        return FHIRAnswer(status: 200, body: .object(body))
    }

    /// Each entry by itself, some at a time, in no order: what fails is told in its own answer.
    private func batch(_ entries: [JSONValue], _ request: FHIRRequest) async -> [JSONValue] {
        var answers = [JSONValue](repeating: .null, count: entries.count)
        var bytesRead = 0
        await withTaskGroup(of: (index: Int, answer: JSONValue, bytesRead: Int).self) { group in
            var next = 0
            while next < min(limits.batchConcurrencyMax, entries.count) {
                let index = next
                group.addTask { await batchEntry(entries[index], index, request) }
                next += 1
            }
            while let done = await group.next() {
                answers[done.index] = done.answer
                bytesRead += done.bytesRead
                guard next < entries.count else { continue }
                let index = next
                let isSpent = bytesRead > limits.batchReadBytesMax
                group.addTask {
                    isSpent ? spentEntry(index) : await batchEntry(entries[index], index, request)
                }
                next += 1
            }
        }
        return answers
    }

    private func batchEntry(
        _ sent: JSONValue, _ index: Int, _ request: FHIRRequest
    ) async -> (index: Int, answer: JSONValue, bytesRead: Int) {
        do throws(FHIRFailure) {
            let entry = try BundleEntry(
                sent, index: index, base: request.base, prefer: request.prefer)
            return await answer(entry)
        } catch {
            return (index, BundleEntry.response(error), 0)
        }
    }

    /// What was read so far would not fit the answer: the client asks again for the rest.
    private func spentEntry(_ index: Int) -> (index: Int, answer: JSONValue, bytesRead: Int) {
        let failure = FHIRFailure(
            413, .tooCostly,
            "Not done: the entries before it read more than \(limits.batchReadBytesMax) bytes")
        return (index, BundleEntry.response(failure.at(entry: index)), 0)
    }

    /// One entry performed by itself. Writes show their resource only when asked to.
    func answer(
        _ entry: BundleEntry
    ) async -> (index: Int, answer: JSONValue, bytesRead: Int) {
        do throws(FHIRFailure) {
            let answer = try await perform(entry.request)
            let withBody =
                entry.request.method == .get
                || entry.request.prefer.returning == .representation
            return (
                entry.index,
                BundleEntry.response(answer, base: entry.request.base, withBody: withBody),
                answer.bytesRead
            )
        } catch {
            return (entry.index, BundleEntry.response(error.at(entry: entry.index)), 0)
        }
    }
}
