"""Whatever a caller sends, the answer is one that the document describes, and never an unexpected error."""

from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.api.route import Route
from ingest.api.routes import ROUTES
from tests.support.servers.api import ApiCaller

WORDS = st.sampled_from(
    ["iceberg", "orderbook_skew", "all", "BTCUSDT", "depth", "1-1", "gate.killed", "levels", "1h", ""]
)
TEXT = WORDS | st.text(max_size=20)
#: No retry waits for longer than this, and nothing is retried.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[Route, str, Any]:
    route = draw(st.sampled_from(ROUTES))
    path = route.path.format(**{name: quote(draw(TEXT.filter(bool)), safe="") for name in route.fields})
    query = draw(st.dictionaries(st.sampled_from([*route.query.model_fields, "odd"]), TEXT, max_size=3))
    if route.body is None:
        return route, f"{path}?{urlencode(query)}", None
    of_model = st.fixed_dictionaries({}, optional=dict.fromkeys(route.body.model_fields, JSON))
    return route, f"{path}?{urlencode(query)}", draw(of_model | JSON)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=requests(), headers=st.dictionaries(st.sampled_from(["If_Match", "Idempotency_Key"]), WORDS, max_size=2))
def test_any_request_is_answered_as_the_document_says(
    api: ApiCaller, request: tuple[Route, str, Any], headers: dict[str, str]
):
    route, path, body = request
    answer = api(route.method, path, body, **headers)
    assert answer.status < 500, answer.json
