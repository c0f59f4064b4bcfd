import FHIRCore
import RecordModel

extension FHIRService {
    /// FHIR R4 "RESTful API", transaction: all writes in one entry of the log, or none. Reads come
    /// after them and see them; one that fails is told in its own answer, since nothing has to be
    /// undone for it.
    func transaction(
        _ sent: [JSONValue], _ request: FHIRRequest
    ) async throws(FHIRFailure) -> [JSONValue] {
        var entries: [BundleEntry] = []
        for (index, entry) in sent.enumerated() {
            entries.append(
                try BundleEntry(
                    entry, index: index, base: request.base, prefer: request.prefer))
        }
        // Over all attempts, so that a resource keeps the id that others refer to.
        let ids = entries.map { $0.request.method == .post ? newID() : "" }
        var answers = [JSONValue](repeating: .null, count: entries.count)
        try await write(entries, ids, request, &answers)

        var bytesRead = 0
        for entry in entries where entry.request.method == .get || entry.isSearch {
            if bytesRead > limits.batchReadBytesMax {
                answers[entry.index] = BundleEntry.response(
                    FHIRFailure(
                        413, .tooCostly,
                        "Not done: the entries before it read more than "
                            + "\(limits.batchReadBytesMax) bytes"
                    ).at(entry: entry.index))
                continue
            }
            let done = await answer(entry)
            answers[entry.index] = done.answer
            bytesRead += done.bytesRead
        }
        return answers
    }

    private func write(
        _ entries: [BundleEntry], _ ids: [String], _ request: FHIRRequest,
        _ answers: inout [JSONValue]
    ) async throws(FHIRFailure) {
        for _ in 0...limits.conflictRetriesMax {
            let plan = try await plan(entries, ids)
            let (txn, order) = try plan.request()
            var applied: AppliedTxn?
            if !txn.success.isEmpty {
                let outcome = try await execute(txn)
                // What the plan was made from has changed: it is made anew.
                if !outcome.result.succeeded { continue }
                applied = outcome
            }
            for step in plan.steps {
                if case .keep(let record) = step.action {
                    answers[step.entry] = BundleEntry.response(
                        try found(record, status: 200, request), base: request.base,
                        withBody: request.prefer.returning == .representation)
                } else if case .nothing = step.action {
                    answers[step.entry] = BundleEntry.response(
                        FHIRAnswer(status: 204), base: request.base, withBody: false)
                }
            }
            guard let applied else { return }
            for (at, step) in order.enumerated() {
                answers[step.entry] = answer(
                    step, txn.success[at], applied.result.results[at], applied, request)
            }
            return
        }
        throw conflict()
    }

    private func answer(
        _ step: TransactionPlan.Step, _ operation: Operation, _ result: OperationResult,
        _ applied: AppliedTxn, _ request: FHIRRequest
    ) -> JSONValue {
        guard case .put(let put) = operation else {
            return BundleEntry.response(
                Self.deleted(result, applied), base: request.base, withBody: false)
        }
        var answer = FHIRAnswer(status: Self.isCreation(result) ? 201 : 200)
        answer.version = applied.revision
        answer.lastModified = applied.timestamp
        answer.location = "\(step.identity)/_history/\(applied.revision)"
        if request.prefer.returning == .representation,
            case .object(let tree)? = try? JSONParser.parse(put.value)
        {
            answer.body = KeptResource.rendered(
                tree, version: applied.revision, timestamp: applied.timestamp)
        }
        return BundleEntry.response(answer, base: request.base, withBody: true)
    }

    /// Finds out what every writing entry writes, and what its references stand for.
    private func plan(
        _ entries: [BundleEntry], _ ids: [String]
    ) async throws(FHIRFailure) -> TransactionPlan {
        var plan = TransactionPlan()
        for entry in entries where entry.request.method != .get && !entry.isSearch {
            do {
                plan.steps.append(try await step(entry, newID: ids[entry.index]))
            } catch {
                throw error.at(entry: entry.index)
            }
        }
        try plan.checkDistinct()
        for step in plan.steps {
            guard let fullURL = step.fullURL else { continue }
            plan.resolver.add(fullURL: fullURL, identity: step.identity)
        }
        try await resolveConditionalReferences(&plan)
        return plan
    }

    private func step(
        _ entry: BundleEntry, newID: String
    ) async throws(FHIRFailure) -> TransactionPlan.Step {
        let request = entry.request
        var step = TransactionPlan.Step(
            entry: entry.index, fullURL: entry.fullURL, type: request.route.typeName, id: newID,
            action: .nothing)
        switch (request.route, request.method) {
        case (.type(let type), .post):
            let sent = try request.resource()
            _ = try KeptResource.checked(sent, type: type)
            step.action = .put(sent)
            step.compares = Precondition.absent.compares(KeptResource.key(type, newID))
            guard let criteria = request.ifNoneExist else { return step }
            let matches = try await matches(type, criteria: try Self.criteria(criteria))
            if matches.count > 1 { throw Self.multipleMatches(type) }
            guard let match = matches.first else { return step }
            step.id = try Self.identity(match, type: type, agreesWith: nil)
            step.action = .keep(match)
            step.compares = Precondition.version(match.modRevision).compares(match.key)
        case (.instance(let type, let id), .put):
            step.id = id
            let sent = try request.resource()
            _ = try Self.resource(sent, type: type, id: id)
            step.action = .put(sent)
            step.compares = try await checked(request, type, id)
        case (.instance(let type, let id), .delete):
            step.id = id
            step.action = .delete
            step.compares = try await checked(request, type, id)
        case (.type(let type), .put):
            try await conditionalUpdate(type, request, &step)
        case (.type(let type), .delete):
            let matches = try await matches(type, criteria: request.query)
            if matches.count > 1 { throw Self.multipleMatches(type) }
            guard let match = matches.first else { return step }
            step.id = try Self.identity(match, type: type, agreesWith: nil)
            step.action = .delete
            step.compares = Precondition.version(match.modRevision).compares(match.key)
        default: throw request.route.methodFailure(request.method.rawValue)
        }
        return step
    }

    private func conditionalUpdate(
        _ type: String, _ request: FHIRRequest, _ step: inout TransactionPlan.Step
    ) async throws(FHIRFailure) {
        let sent = try request.resource()
        let named = try KeptResource.checked(sent, type: type)["id"]?.string
        if let named { _ = try FHIRRoute([type, named]) }
        let precondition = try Precondition(request)
        let matches = try await matches(type, criteria: request.query)
        if matches.count > 1 { throw Self.multipleMatches(type) }
        step.action = .put(sent)
        if let match = matches.first {
            step.id = try Self.identity(match, type: type, agreesWith: named)
            guard precondition.isMet(by: match) else {
                throw precondition.failure(type, step.id)
            }
            step.compares = Precondition.version(match.modRevision).compares(match.key)
        } else {
            if precondition != .none, precondition != .absent {
                throw FHIRFailure(412, .conflict, "No \(type) matches")
            }
            step.id = named ?? newID()
            let key = KeptResource.key(type, step.id)
            if named != nil, try await record(key) != nil {
                throw FHIRFailure(
                    409, .conflict, "\(step.identity) exists, and does not match the criteria")
            }
            step.compares = Precondition.absent.compares(key)
        }
    }

    /// The compares of a write with If-Match or If-None-Match. A precondition that is not met
    /// already fails here, with the entry's own answer; one that breaks until the transaction is
    /// applied makes it start over.
    private func checked(
        _ request: FHIRRequest, _ type: String, _ id: String
    ) async throws(FHIRFailure) -> [Compare] {
        let precondition = try Precondition(request)
        if precondition == .none { return [] }
        let key = KeptResource.key(type, id)
        guard precondition.isMet(by: try await record(key)) else {
            throw precondition.failure(type, id)
        }
        return precondition.compares(key)
    }

    /// FHIR R4 "RESTful API", "Conditional References": exactly one match each, among what was
    /// there before the transaction.
    private func resolveConditionalReferences(
        _ plan: inout TransactionPlan
    ) async throws(FHIRFailure) {
        var known: Set<String> = []
        for step in plan.steps {
            guard case .put(let resource) = step.action else { continue }
            for reference in ReferenceResolver.conditionalReferences(in: resource) {
                guard known.insert(reference).inserted else { continue }
                if known.count > limits.conditionalReferencesMax {
                    throw FHIRFailure(
                        413, .tooCostly,
                        "More than \(limits.conditionalReferencesMax) conditional references")
                }
                do {
                    let match = try await referenced(reference)
                    plan.resolver.add(
                        conditionalReference: reference,
                        identity: String(decoding: match.key, as: UTF8.self))
                    plan.referenceCompares += Precondition.version(match.modRevision).compares(
                        match.key)
                } catch {
                    throw error.at(entry: step.entry)
                }
            }
        }
    }

    private func referenced(_ reference: String) async throws(FHIRFailure) -> Record {
        let target = try RequestTarget(reference)
        guard case .type(let type) = try FHIRRoute(target.path) else {
            throw FHIRFailure(400, .value, "A conditional reference is Type?criteria")
        }
        let matches = try await matches(type, criteria: target.query)
        if matches.count > 1 { throw Self.multipleMatches(type) }
        guard let match = matches.first else {
            throw FHIRFailure(
                412, .notFound, "A conditional reference to a \(type) matches none")
        }
        return match
    }
}

extension BundleEntry {
    /// POST `Type/_search`: a read, by its meaning.
    var isSearch: Bool {
        if case .typeSearch = request.route { return true }
        return false
    }
}
