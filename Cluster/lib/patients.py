"""Patients made up here: transaction bundles with valid NHS numbers of the 999 test range."""

import json
import random
import re
import uuid

FAMILIES = ["Smith", "Jones", "Patel", "O'Neill", "Fåhræus", "Núñez", "Lloyd-Jones", "Ng", "Šimek"]
GIVENS = ["Amelia", "Oliver", "Zoë", "Mohammed", "Siân", "Anaïs", "Jürgen", "Priya", "Kwame"]


def nhs_number(chance):
    """Ten digits from 999 0000000 on, the last the Modulus 11 check digit of the NHS Data Dictionary:
    weights 10 down to 2, 11 minus the remainder, 11 counts as 0 and 10 is never issued."""
    while True:
        digits = [9, 9, 9] + [chance.randrange(10) for _ in range(6)]
        check = 11 - sum(d * w for d, w in zip(digits, range(10, 1, -1))) % 11
        if check != 10:
            return "".join(map(str, digits)) + str(check % 11)


def bundle(seed):
    """A transaction as JSON text: a patient, an organisation and observations, which refer to each
    other by urn:uuid. Decimals are written in ways that a binary float would not keep."""
    chance = random.Random(f"patient-{seed}")

    def urn():
        return f"urn:uuid:{uuid.UUID(int=chance.getrandbits(128), version=4)}"

    def exact(text):
        return f"@number {text}@"

    patient, practice = urn(), urn()
    number = nhs_number(chance)
    entries = [
        (practice, {
            "resourceType": "Organization", "name": f"Test practice {seed % 17}",
            "identifier": [{"system": "https://fhir.nhs.uk/Id/ods-organization-code",
                            "value": f"X{seed % 100000:05}"}]}),
        (patient, {
            "resourceType": "Patient",
            "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">'
                     f'Patient &amp; record <a href="{patient}">here</a></div>'},
            "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": number}],
            "name": [{"use": "official", "family": chance.choice(FAMILIES),
                      "given": chance.sample(GIVENS, chance.randrange(1, 3))}],
            "gender": chance.choice(["male", "female", "other", "unknown"]),
            "birthDate": f"{chance.randrange(1920, 2024)}-{chance.randrange(1, 13):02}"
                         f"-{chance.randrange(1, 29):02}",
            "generalPractitioner": [{"reference": practice}]}),
    ]
    for _ in range(chance.randrange(1, 5)):
        value = chance.choice(["{0}.0", "{0}.50", "{0}.125000", "{0}", "{0}.3e1",
                               "0.{0}000000000000000001"]).format(chance.randrange(1, 250))
        entries.append((urn(), {
            "resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7",
                                 "display": "Body weight"}]},
            "subject": {"reference": patient}, "performer": [{"reference": practice}],
            "effectiveDateTime": f"{chance.randrange(2000, 2026)}-03-07T09:30:00+01:00",
            "valueQuantity": {"value": exact(value), "unit": "kg",
                              "system": "http://unitsofmeasure.org", "code": "kg"}}))
    text = json.dumps({
        "resourceType": "Bundle", "type": "transaction",
        "entry": [{"fullUrl": url, "resource": resource,
                   "request": {"method": "POST", "url": resource["resourceType"]}}
                  for url, resource in entries]}, ensure_ascii=False)
    return re.sub(r'"@number ([^@]*)@"', r"\1", text).encode()
