"""A damaged postback is read as the original, or not at all; tests/fuzz/README.md has the rest."""

from tests.fuzz.damage import run

BY_PEOPLE = {"text", "subject", "keyword"}


def test_few_damaged_bodies_are_read_as_something_else() -> None:
    report = run(3_000, seed=7)
    assert sum(report.outcomes.values()) == 3_000
    assert report.outcomes["same"] > 300, "repairs are of use"
    assert report.share < 0.02
    of_skycore = sum(
        count for name, count in report.classes.items() if name.partition(": ")[2] not in BY_PEOPLE
    )
    assert of_skycore / report.outcomes["unparsed"] < 0.005
