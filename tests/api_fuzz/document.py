"""Checks an OpenAPI document and its examples: `document.py openapi.json`. Says what is wrong, and ends with 1 then."""

import json
import sys

import jsonschema
import openapi_spec_validator


def pairs(node, path=""):
    """Every object with a schema and an example, and where it is."""
    if isinstance(node, dict):
        if "schema" in node:
            if "example" in node:
                yield path, node["schema"], node["example"]
            for name, example in node.get("examples", {}).items():
                yield f"{path}/examples/{name}", node["schema"], example["value"]
        for key, value in node.items():
            if key not in ("example", "examples"):
                yield from pairs(value, f"{path}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from pairs(value, f"{path}/{index}")


def main(file):
    with open(file, encoding="utf-8") as text:
        document = json.load(text)
    openapi_spec_validator.validate(document)
    wrong = 0
    for path, schema, example in pairs(document):
        whole = {**schema, "components": document["components"]}
        for error in jsonschema.Draft202012Validator(whole).iter_errors(example):
            print(f"{path}: {error.json_path}: {error.message}", file=sys.stderr)
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
