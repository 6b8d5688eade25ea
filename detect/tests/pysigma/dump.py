"""What pySigma makes of rules: for each document of a file one line of JSON.

Usage: dump.py RULES.yml PLACEHOLDERS.json

A line has `id` and either `error` or `tree`: `{"and": […]}`, `{"or": […]}`, `{"not": …}`, or a leaf
with `field` (null for keywords) and `value`, which has one member named after its kind. Text is a
list of pieces, in which 0 stands for `*` and 1 for `?`.
"""

import json
import sys

import yaml
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import ValueListPlaceholderTransformation
from sigma.rule import SigmaRule
from sigma.types import (
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)


def text(string):
    if any(isinstance(piece, Placeholder) for piece in string.s):
        # The transformation does not look into what windash and base64offset expand to.
        raise SigmaError("a placeholder was left")
    wild = {SpecialChars.WILDCARD_MULTI: 0, SpecialChars.WILDCARD_SINGLE: 1}
    return [piece if isinstance(piece, str) else wild[piece] for piece in string.s]


def value(v):
    # The order matters: some of these are made of others.
    if isinstance(v, SigmaExpansion):
        return {"any": [value(each) for each in v.values]}
    if isinstance(v, SigmaCasedString):
        return {"cased": text(v)}
    if isinstance(v, SigmaString):
        return {"text": text(v)}
    if isinstance(v, SigmaTimestampPart):
        return {"time": [v.timestamp_part.name.lower(), v.number]}
    if isinstance(v, SigmaCompareExpression):
        return {"compare": [v.op.name.lower(), v.number.number]}
    if isinstance(v, SigmaNumber):
        return {"number": v.number}
    if isinstance(v, SigmaBool):
        return {"truth": v.boolean}
    if isinstance(v, SigmaRegularExpression):
        return {"re": [str(v.regexp), sorted(flag.name.lower() for flag in v.flags)]}
    if isinstance(v, SigmaCIDRExpression):
        return {"cidr": v.cidr}
    if isinstance(v, SigmaExists):
        return {"exists": v.exists}
    if isinstance(v, SigmaFieldReference):
        return {"fieldref": [v.field, v.starts_with, v.ends_with]}
    if isinstance(v, SigmaNull):
        return {"null": True}
    raise SystemExit(f"unknown value {v!r}")


def tree(node):
    if isinstance(node, ConditionAND):
        return {"and": [tree(arg) for arg in node.args]}
    if isinstance(node, ConditionOR):
        return {"or": [tree(arg) for arg in node.args]}
    if isinstance(node, ConditionNOT):
        return {"not": tree(node.args[0])}
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return {"field": node.field, "value": value(node.value)}
    if isinstance(node, ConditionValueExpression):
        return {"field": None, "value": value(node.value)}
    raise SystemExit(f"unknown condition {node!r}")


def main(rules, placeholders):
    with open(placeholders, encoding="utf-8") as file:
        lists = json.load(file)
    with open(rules, encoding="utf-8") as file:
        documents = list(yaml.safe_load_all(file))
    for document in documents:
        line = {"id": document.get("id")}
        pipeline = ProcessingPipeline(
            items=[ProcessingItem(ValueListPlaceholderTransformation())], vars=lists
        )
        try:
            rule = SigmaRule.from_dict(document)
            pipeline.apply(rule)
            conditions = [condition.parsed for condition in rule.detection.parsed_condition]
            line["tree"] = {"or": [tree(condition) for condition in conditions]}
        except SigmaError as error:
            line["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
