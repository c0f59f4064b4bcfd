import FHIRCore

extension FHIRService {
    /// When this statement's contents last changed.
    private static let statementDate = "2026-11-22"

    /// FHIR R4 "RESTful API", capabilities: what is there, and in words what is not yet.
    func capabilities(_ request: FHIRRequest) -> FHIRAnswer {
        let software: JSONValue = [
            "name": "spine-record-store", "version": .string(settings.softwareVersion),
        ]
        let rest: JSONValue = [
            "mode": "server", "documentation": .string(Self.documentation),
            "resource": .array(ResourceType.all.map(Self.resource)),
            "interaction": [["code": "transaction"], ["code": "batch"]],
        ]
        return FHIRAnswer(
            status: 200,
            body: [
                "resourceType": "CapabilityStatement", "status": "active",
                "date": .string(Self.statementDate), "kind": "instance", "software": software,
                "implementation": [
                    "description": "FHIR R4 over a replicated record store",
                    "url": .string(request.base),
                ],
                "fhirVersion": "4.0.1", "format": ["application/fhir+json", "json"],
                "rest": [rest],
            ])
    }

    private static let documentation = """
        Every resource is kept exactly as sent, decimals to the last digit. Not there yet: \
        validation (a resource is checked to be JSON of the right type with a valid id, not against \
        the R4 definitions), XML and RDF, patch, history of a type or of the system, search over \
        types, chained search, _include, _revinclude, _sort, _summary, _elements, operations, \
        and every search parameter that is not listed. Two conditional creates with the same \
        criteria at the same moment may both create.
        """

    private static func resource(_ type: String) -> JSONValue {
        let codes = [
            "read", "vread", "update", "delete", "history-instance", "create", "search-type",
        ]
        var parameters: [JSONValue] = [
            ["name": "_id", "type": "token", "documentation": "Without modifiers"]
        ]
        for parameter in SearchParameter.all(of: type) {
            parameters.append([
                "name": .string(parameter.code), "type": .string(parameter.searchType),
                "documentation": .string(documentation(parameter)),
            ])
        }
        return [
            "type": .string(type),
            "interaction": .array(codes.map { ["code": .string($0)] }),
            "versioning": "versioned-update", "readHistory": true, "updateCreate": true,
            "conditionalCreate": true, "conditionalRead": "not-match",
            "conditionalUpdate": true, "conditionalDelete": "single",
            "searchParam": .array(parameters),
        ]
    }

    private static func documentation(_ parameter: SearchParameter) -> String {
        switch parameter.kind {
        case .identifier, .code:
            "value, system|value, |value and system|; case matters; without modifiers"
        case .string: "Start of the text without regard to case and accents; modifier exact"
        case .date: "Prefixes eq, ne, gt, lt, ge, le, sa and eb; partial dates"
        }
    }
}
