"""Whether stdin is a STIX 2.1 bundle, by the validator of OASIS and its library: prints what is wrong."""

import json
import sys

import stix2
from stix2validator import ValidationOptions, validate_string

text = sys.stdin.read()
# 111 to 113 want vocabularies that are suggestions; the identity classes and relationships used are STIX's own.
results = validate_string(text, ValidationOptions(version="2.1"))
for problem in results.errors:
    print(problem)
bundle = stix2.parse(json.loads(text), allow_custom=False)
known = {thing["id"] for thing in bundle.objects}
for thing in bundle.objects:
    if thing["type"] == "relationship":
        for end in (thing["source_ref"], thing["target_ref"]):
            if end not in known:
                print("nowhere:", end)
sys.exit(0 if results.is_valid else 1)
