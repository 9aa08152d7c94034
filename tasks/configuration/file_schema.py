"""The JSON Schema of a strategies file, by which an editor completes and checks it. Pure.

The models say what stands in every file, the strategies which parameters theirs takes. What several tables say together
(a pool's kinds and its strategies, a shadow and its original) a schema can't tell: the registry checks that.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from tasks.configuration.model import Configuration
from tasks.protocol.task_name import RESEARCH_QUEUE
from tasks.strategy import AnyStrategy

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: module:Class
_IMPORT_PATH = "^[^:]+:[^:]+$"
_TABLES = {"strategies": "StrategyConfiguration", "shadow": "ShadowConfiguration"}


class _FileSchema(GenerateJsonSchema):
    """Of what a person writes: there is no null in TOML, and a default that is a whole table says nothing."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 as its base has it

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        made = super().default_schema(schema)
        if made.get("default") in (None, {}) or isinstance(made["default"], dict):
            made.pop("default", None)
        return made

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        made = super().dict_schema(schema)
        return made | {"additionalProperties": False} if "patternProperties" in made else made

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 given by the base
        return False

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:  # noqa: ARG002 the same
        """Return what allows anything, for a parameter of which JSON Schema knows no type."""
        return {}


def build(strategies: Mapping[str, type[AnyStrategy]]) -> dict[str, Any]:
    """Return the schema of files with these strategies, by the names that files use.

    Any other `module:Class` may have any parameters; a name without a colon must be one of these. Who asks for the same
    strategies gets the same bytes.
    """
    strategies = dict(sorted(strategies.items()))
    whole = Configuration.model_json_schema(schema_generator=_FileSchema)
    models = whole.pop("$defs")
    pool = models["PoolConfiguration"]["properties"]
    definitions = {name: models[name] for name in ("Gate", "PaperTable", "FeesTable", "PoolConfiguration")}
    for name, strategy in {"": None, **strategies}.items():
        definitions |= _definitions(name, strategy, models)
    for table in _TABLES:
        pool[table].pop("additionalProperties")
        pool[table] |= {
            "properties": {name: _ref(name, table) for name in strategies},
            "patternProperties": {_IMPORT_PATH: _ref("", table)},
            "additionalProperties": False,
        }
    whole["properties"]["pools"]["propertyNames"] = {"not": {"const": RESEARCH_QUEUE}}
    head = {"$schema": _DIALECT, "title": "Strategies file", "description": "Which strategies run on what."}
    return head | {key: whole[key] for key in whole if key not in head} | {"$defs": definitions}


def fields(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Return the schema of each field of a table of the file."""
    properties: dict[str, dict[str, Any]] = model.model_json_schema(schema_generator=_FileSchema)["properties"]
    return properties


def _ref(name: str, table: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{_called(name, table)}"}


def _called(name: str, table: str) -> str:
    return f"{table}.{name or 'module:Class'}"


def _definitions(name: str, strategy: type[AnyStrategy] | None, models: dict[str, Any]) -> dict[str, Any]:
    """Return the tables of a strategy, of its shadow and of a symbol; without a strategy, those of any other."""
    own, definitions = _parameters(name, strategy)
    parameters = own.get("properties", {})
    pointer = f"#/$defs/{_called(name, 'strategies')}/properties"
    same = {parameter: {"$ref": f"{pointer}/{parameter}"} for parameter in parameters}
    description = (strategy.__doc__ or "").strip().partition("\n")[0] if strategy else "A strategy of your own."

    def table(model: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
        fields = {key: value for key, value in models[model]["properties"].items() if key != "params"}
        if "symbols" in fields:
            fields["symbols"] = fields["symbols"] | {"additionalProperties": _ref(name, "symbol")}
        needed = required + models[model].get("required", [])
        made = {"description": description, "type": "object", "properties": properties | fields}
        return made | ({"required": needed} if needed else {}) | {"additionalProperties": strategy is None}

    required = own.get("required", [])
    tables = {
        "strategies": table(_TABLES["strategies"], parameters, required),
        "shadow": table(_TABLES["shadow"], same, required),
        "symbol": table("SymbolConfiguration", same, []),
    }
    return {_called(name, each): made for each, made in tables.items()} | definitions


def _parameters(name: str, strategy: type[AnyStrategy] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of a strategy's parameters, and the definitions that it refers to, by names of their own."""
    if strategy is None:
        return {}, {}
    prefix = _called(name, "params")
    own = strategy.params_type.model_json_schema(
        schema_generator=_FileSchema, ref_template=f"#/$defs/{prefix}.{{model}}"
    )
    return own, {f"{prefix}.{model}": made for model, made in own.pop("$defs", {}).items()}
