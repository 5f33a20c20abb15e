"""Amounts of money as whole minor units, and their way in from text."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

# ISO 4217 list one (SIX Financial Information, 2026-01-01): the currencies whose minor unit is not two digits.
_EXPONENTS = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
_LARGEST = Decimal(10) ** 15


def exponent(currency: str) -> int:
    """The digits after the decimal point of an ISO 4217 currency."""
    return _EXPONENTS.get(currency, 2)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount: `minor` whole minor units (cents for USD, yen for JPY) of an ISO 4217 `currency`."""

    minor: int
    currency: str

    def major(self) -> Decimal:
        """The amount in major units, exact."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))


def minor_units(amount: str | Decimal, currency: str) -> int:
    """Read an amount in major units (`"12.50"`) as whole minor units (1250).

    Raises ValueError for what is no positive number or has more digits than the currency, since rounding money that
    a lender wrote down would put a wrong figure before a borrower. The error repeats no value: in the wrong field
    stands anything.
    """
    try:
        value = Decimal(amount)
    except InvalidOperation:
        raise ValueError("an amount is a number with a decimal point") from None
    if not value.is_finite() or value <= 0 or value > _LARGEST:
        raise ValueError("an amount is positive")
    scaled = value.scaleb(exponent(currency))
    if scaled != scaled.to_integral_value():
        raise ValueError(f"an amount has no more than the {exponent(currency)} decimal digits of {currency}")
    return int(scaled)


def written(amount: Decimal) -> str:
    """An amount as events write it, the same whatever form it came in: `100`, `12.5`."""
    return f"{amount.normalize():f}"
