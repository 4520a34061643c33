"""The table of claims is what the solved notebooks printed, and a verdict follows from its interval."""

import re

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from publishing import make_claims
from publishing.make_claims import Claim, look_up

ROW = re.compile(
    r"\| ([^|]+) \| [^|]+ \| (holds|does not hold|undecided|practically equal) "
    r"\| ([+-][\d.]+) \(([+-][\d.]+) to ([+-][\d.]+)\) \| (\d+) \| \[(\d\d), [^\]]+\]\(solutions/[^)]+\) \|"
)


def rows():
    return [line for line in make_claims.TARGET.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][
        1:
    ]


def test_the_table_is_that_of_the_solved_notebooks():
    assert make_claims.TARGET.read_text(encoding="utf-8") == make_claims.table()


def test_no_claim_is_without_an_interval_and_five_seeds():
    for row in rows():
        match = ROW.fullmatch(row)
        assert match, row
        effect, low, high, seeds = map(float, match.groups()[2:6])
        assert low <= effect <= high
        assert seeds >= 5


def test_where_no_margin_is_allowed_the_verdict_is_the_side_of_zero():
    claims = {claim.text: claim for claim in make_claims.CLAIMS if not claim.said}
    for text, said, _, low, high, *_ in (ROW.fullmatch(row).groups() for row in rows()):
        if text in claims:
            sides = {float(end) * claims[text].speaks > 0 for end in (low, high)}
            assert said == ("undecided" if len(sides) == 2 else "holds" if sides == {True} else "does not hold")


def notebook(*lines):
    printed = new_output("stream", text="\n".join(lines))
    return new_notebook(cells=[new_markdown_cell("## Which, then?"), new_code_cell("x", outputs=[printed])])


LINE = "a is better than b: holds (difference +2.0 points over 6 seeds, 95% interval +1.0 to +3.0, half-width 1.0)"


@pytest.mark.parametrize(("speaks", "verdict"), [(1, "holds"), (-1, "does not hold")])
def test_an_effect_speaks_for_a_claim_or_against_it(speaks, verdict):
    found = look_up(Claim("", "", "a is better", speaks), notebook("other", LINE))
    assert found == (verdict, "+2.0", "+1.0", "+3.0", "6", "Which, then?")


def test_of_lines_that_begin_alike_one_is_named_and_folds_are_no_seeds():
    printed = notebook(LINE, LINE.replace("+2.0", "+1.5").replace("6 seeds", "8 folds"))
    assert look_up(Claim("", "", "a is better", place=1), printed)[1:5] == ("+1.5", "+1.0", "+3.0", "8 folds")


def test_a_verdict_with_a_margin_is_the_one_that_was_printed():
    claim = Claim("", "", "a is better", said="b is as good")
    assert look_up(claim, notebook(LINE, "b is as good: undecided (x, 6 seeds)")).verdict == "undecided"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("b is better", "no line that begins"),
        ("a is better than b: undecided (difference +2.0 points)", "no effect"),
    ],
)
def test_a_claim_without_a_line_or_an_interval_is_an_error(line, message):
    with pytest.raises(ValueError, match=message):
        look_up(Claim("", "", "a is better"), notebook(line))


def test_the_courses_are_those_that_the_notebook_follows():
    head = new_markdown_cell("# T\n\n*Follows Manco (x) and Boracchi\n(y). Zhang et al.*")
    assert make_claims.followed(new_notebook(cells=[head])) == "Boracchi, Manco"
