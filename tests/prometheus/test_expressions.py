import pytest

from tests.prometheus.expressions import PromQLError, selectors, without_filters


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("up", {"up"}),
        ('max by (account, le) (a{b="c, d"})', {'a{b="c, d"}'}),
        ("sum(rate(a_total[5m])) / sum without (x) (b) * 60", {"a_total", "b"}),
        ("a:b:rate5m > 1 and on (account) group_left (y) (c == 0)", {"a:b:rate5m", "c"}),
        ('histogram_quantile(0.95, sum by (le) (rate(h_bucket{a=~".+"}[1h:1m] offset 5m)))', None),
        ("time() - x", {"x"}),
        ("absent(up{job='x'} == 1) or vector(0)", {"up{job='x'}"}),
        ("1e3 * -inf", set()),
    ],
)
def test_the_selectors_of_an_expression_are_found(expression: str, found: set[str] | None) -> None:
    assert selectors(expression) == ({'h_bucket{a=~".+"}'} if found is None else found)


@pytest.mark.parametrize("expression", ['{__name__="x"}', "a $ b"])
def test_what_is_not_understood_is_said(expression: str) -> None:
    with pytest.raises(PromQLError):
        selectors(expression)


def test_comparisons_become_bool_and_matchers_stay() -> None:
    assert without_filters('a{b!="c"} > 5 and x == bool 0') == 'a { b != "c" } > bool 5 and x == bool 0'
