// Written by Tables/generate.py; not edited by hand.

/// Names of elements that are of type uri, url, oid or uuid somewhere in R4 4.0.1.
enum URIElementTable {
    static let text = """
        address authority authorizationUrl code contentReference defaultValueOid defaultValueUri
        defaultValueUrl defaultValueUuid definition definitionUri derivedFromUri detail endpoint
        eventUri fixedOid fixedUri fixedUrl fixedUuid fullUrl identifier implicitRules instantiates
        instantiatesUri issuer jurisdiction link location moduleUri nameUrl onlineInformation
        patternOid patternUri patternUrl patternUuid policy property protocol reference relativePath
        rendering source sourceUri system target targetUri type uri url valueOid valueUri valueUrl
        valueUuid
        """
}
