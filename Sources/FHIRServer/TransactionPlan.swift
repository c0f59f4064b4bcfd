import FHIRCore
import RecordModel

/// What the writing entries of a transaction come to, once conditions have been resolved: records
/// to put and to delete, and what must still be true when they are.
struct TransactionPlan: Sendable {
    struct Step: Sendable {
        enum Action: Sendable {
            /// The resource as sent, references not yet resolved.
            case put(JSONValue)
            case delete
            /// A conditional create that found its resource.
            case keep(Record)
            /// A conditional delete that found none.
            case nothing
        }

        var entry: Int
        var fullURL: String?
        var type: String
        var id: String
        var action: Action
        var compares: [Compare] = []

        var identity: String { "\(type)/\(id)" }
        var writes: Bool {
            switch action {
            case .put, .delete: true
            case .keep, .nothing: false
            }
        }
    }

    var steps: [Step] = []
    var resolver = ReferenceResolver()
    /// Records that conditional references stand for, which must stay as they were found.
    var referenceCompares: [Compare] = []

    /// A transaction touches each resource once, and names each by one fullUrl (FHIR R4 "RESTful
    /// API", transaction; "Bundle", bdl-7).
    func checkDistinct() throws(FHIRFailure) {
        var identities: Set<String> = []
        var fullURLs: Set<String> = []
        for step in steps {
            if step.writes && !identities.insert(step.identity).inserted {
                throw FHIRFailure(
                    400, .duplicate, "\(step.identity) is written by another entry too"
                ).at(entry: step.entry)
            }
            if let fullURL = step.fullURL, !fullURLs.insert(fullURL).inserted {
                throw FHIRFailure(400, .duplicate, "another entry has the same fullUrl")
                    .at(entry: step.entry)
            }
        }
    }

    /// The plan as one transaction of the store, deletions first, with the step that each
    /// operation belongs to.
    func request() throws(FHIRFailure) -> (txn: TxnRequest, steps: [Step]) {
        var txn = TxnRequest(compares: referenceCompares)
        var order: [Step] = []
        for step in steps {
            txn.compares += step.compares
            guard case .delete = step.action else { continue }
            let range = KeyRange.key(KeptResource.key(step.type, step.id))
            txn.success.append(.deleteRange(DeleteRangeRequest(range: range)))
            order.append(step)
        }
        for step in steps {
            guard case .put(var resource) = step.action else { continue }
            resolver.resolve(&resource, fullURL: step.fullURL)
            do {
                let kept = try KeptResource(resource, type: step.type, id: step.id)
                txn.success.append(.put(kept.put))
            } catch {
                throw error.at(entry: step.entry)
            }
            order.append(step)
        }
        return (txn, order)
    }
}
