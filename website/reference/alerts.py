"""The page of all alerts, from the rules of Prometheus."""

import re
from typing import Any

import yaml

from website.pages import ROOT
from website.reference.markdown import prose

RULES = "compose/observability/rules.yaml"
_TEMPLATE = re.compile(r"\{\{(.*?)\}\}")
_INTRODUCTION = f"""\
# Alerts

The rules of Prometheus in [`{RULES}`](../source/{RULES}.md), as they are loaded with Compose and in Kubernetes. Severity
`page`: something stands still or is being lost now; `ticket`: look at it in the daytime. For each alert the
[runbook](../runbook.md) says what to do.
"""


def alerts() -> list[dict[str, Any]]:
    """Return the rules that are alerts, in their order."""
    groups = yaml.safe_load((ROOT / RULES).read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def page() -> str:
    """Return the page."""
    return "\n".join([_INTRODUCTION, *map(_section, alerts())])


def _placeholder(template: re.Match[str]) -> str:
    """Return what stands for a value that only a firing alert has."""
    value, _, form = template[1].strip().partition(" | ")
    units = {"humanizePercentage": " %", "humanizeDuration": " s"}
    return f"`{value.removeprefix('$labels.')}`" if value.startswith("$labels.") else f"N{units.get(form, '')}"


def _section(rule: dict[str, Any]) -> str:
    name, words = rule["alert"], rule["annotations"]
    facts = [f"Severity `{rule['labels']['severity']}`", *([f"for `{rule['for']}`"] if "for" in rule else [])]
    facts.append(f"[what to do](../{words['runbook_url'].removeprefix('docs/')})")
    said = ". ".join(prose(_TEMPLATE.sub(_placeholder, words[each])) for each in ("summary", "description"))
    return f"## {name}\n\n{said}\n\n{' · '.join(facts)}\n\n```promql\n{rule['expr'].strip()}\n```\n"
