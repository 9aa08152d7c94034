"""The calls of docs/api.md, as they stand there, one after the other."""

from tasks.ledger.configurations import ConfigurationStore
from tests.support.servers import curl

#: Ids on the page that nobody else has, and what is answered to them.
UNKNOWN = {"signals/0c35": 404, "configuration/versions/": 404, "dead-letters/retry": 404}


def test_each_call_of_an_operators_day_does_what_the_page_says(port: int, configured: ConfigurationStore):
    calls = curl.operators_day()
    assert len(calls) == 13
    answers = curl.run(port, calls)
    expected = [next((status for part, status in UNKNOWN.items() if part in call), 200) for call in calls]
    assert [answer.status for answer in answers] == expected, answers
    [applied] = [answer.json for answer in answers if "changed_by" in answer.call]
    assert applied["data"]["parameters"]["levels"] == 10
    assert configured.history()[-1].author == "ann via dashboard"
