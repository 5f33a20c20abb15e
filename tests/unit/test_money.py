from contextlib import nullcontext

import pytest

from predue.domain.money import minor_units


@pytest.mark.parametrize(
    ("amount", "fits"),
    [
        *(("0.01", True), ("1", True), ("999999999999", True)),
        *(("0", False), ("-1", False), ("1e16", False), ("0.001", False), ("much", False)),
        *(("NaN", False), ("sNaN", False), ("Infinity", False), ("-Infinity", False)),
    ],
)
def test_an_amount_is_a_number_above_nothing_and_below_what_no_loan_is(amount: str, fits: bool) -> None:  # noqa: FBT001 - a table
    with nullcontext() if fits else pytest.raises(ValueError, match="an amount"):
        assert minor_units(amount, "USD") > 0
