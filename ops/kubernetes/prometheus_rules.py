#!/usr/bin/env python3
"""Prints the rules of ops/prometheus/rules as objects of the Prometheus Operator, one for each file."""

import sys
from pathlib import Path

import yaml

RULES = Path(__file__).parents[1] / "prometheus/rules"
HEAD = "# Written by `make manifests` from ops/prometheus/rules; change those.\n"


def manifests() -> str:
    """All objects, as one YAML text."""
    documents = [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": f"faxline-{path.stem}"},
            "spec": yaml.safe_load(path.read_text(encoding="utf-8")),
        }
        for path in sorted(RULES.glob("*.yaml"))
    ]
    return HEAD + yaml.safe_dump_all(documents, sort_keys=False, width=100, allow_unicode=True)


if __name__ == "__main__":
    sys.stdout.write(manifests())
