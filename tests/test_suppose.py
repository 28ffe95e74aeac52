"""What the reports of one fault, one for each supposed number of items, say of other numbers of items."""

from __future__ import annotations

from conv_lint import catalogue, dims
from conv_lint.interpreter.suppose import hangs_on_count
from conv_lint.values import Shape

WIDTH = dims.symbol("c", None)


def test_a_rank_that_grows_with_the_items() -> None:
    told = [catalogue.rank(takes="a 3-D or 4-D input", given=Shape((1,) * rank), rank=rank) for rank in (5, 6, 7)]
    assert hangs_on_count(told)
    assert not hangs_on_count(told[:1] * 3)


def test_as_many_channels_as_there_are_branches() -> None:
    def told(takes: dims.Dim, extra: int) -> bool:
        return hangs_on_count([catalogue.input_channels(takes=takes, given=(n + extra) * WIDTH) for n in (3, 4, 5)])

    assert told(2 * WIDTH, 0)  # two branches would fit
    assert not told(2 * WIDTH, 5)  # no number of branches does
    assert not hangs_on_count([catalogue.input_channels(takes=n * WIDTH, given=(n + 1) * WIDTH) for n in (3, 4, 5)])


def test_reports_of_one_rule_need_not_tell_the_same() -> None:
    one = catalogue.input_channels(takes=4, given=3, fix="in_channels=3")
    assert not hangs_on_count([one, catalogue.input_channels(takes=4, given=3)])
