"""What `make alarms` plays leaves no alert out, and only makes time shorter."""

import yaml
from tests.alarms.causes import all_alerts
from tests.alarms.prometheus import FILES, RULES, scaled


def test_every_alert_has_a_cause_that_is_made() -> None:
    rules = yaml.safe_load((RULES / "alerts.yaml").read_text())["groups"][0]["rules"]

    assert sorted(all_alerts()) == sorted(one["alert"] for one in rules)


def test_the_rules_are_scaled_in_their_lengths_of_time_alone() -> None:
    assert scaled("        for: 15m\n        expr: time() - x > 60 * 10 and rate(y[6h]) > 6 * 0.005\n") == (
        "        for: 45s\n        expr: time() - x > 30 and rate(y[1080s]) > 6 * 0.005\n"
    )
    for name in FILES:
        before, after = (RULES / name).read_text(), scaled((RULES / name).read_text())
        assert len(before.splitlines()) == len(after.splitlines())
        assert yaml.safe_load(after).keys() == yaml.safe_load(before).keys()
