"""Ranges on an axis: log:1e-4..1e-2:4 -> 0.0001, 0.000464, 0.00215, 0.01.

    log:LO..HI:N    N values from LO to HI, each the same factor above the one before
    lin:LO..HI:N    N values from LO to HI, each the same step above the one before

The two ends are taken as they are written. What lies between is rounded to DIGITS significant digits, or
to the nearest whole number where the field takes whole numbers. It is computed in decimal: a binary
logarithm may differ in its last bit from machine to machine, and an id of a trial must not.
"""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from itertools import pairwise

from segnets.errors import ConfigError

DIGITS = 3
"""Significant digits of the values between the ends of a range."""
MOST_VALUES = 10_000

_RANGE = re.compile(r"(log|lin):(.+?)\.\.(.+):(\d{1,6})")
_EXACT = Context(prec=28, rounding=ROUND_HALF_EVEN)
_SHORT = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)


def is_range(text: str) -> bool:
    """Whether this value of an axis means to be a range."""
    return text.startswith(("log:", "lin:"))


def spread(text: str, *, whole: bool = False) -> tuple[str, ...]:
    """The values of a range as text, from the lower end to the higher.

    `whole` rounds to whole numbers. Raises ConfigError for what is no range, and for one that is too
    short for so many values: after rounding two of them would be one.
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        raise _fault("a range of values is log:LO..HI:N or lin:LO..HI:N", text)
    kind, number = match[1], int(match[4])
    low, high = (_number(part, text, whole=whole) for part in (match[2], match[3]))
    if not low < high:
        raise _fault("a range goes from its lower end to its higher one", text)
    if kind == "log" and low <= 0:
        raise _fault("a log range begins above 0", text)
    if not 2 <= number <= MOST_VALUES:
        raise _fault(f"a range has 2 to {MOST_VALUES} values", text)
    inner = [_between(kind, low, high, Decimal(i) / (number - 1)) for i in range(1, number - 1)]
    rounded = [_EXACT.to_integral_value(one) if whole else _SHORT.plus(one) for one in inner]
    values = [low, *rounded, high]
    if any(after <= before for before, after in pairwise(values)):
        digits = "whole numbers" if whole else f"{DIGITS} digits"
        raise _fault(f"two values of a range are one once they are rounded to {digits}", text)
    return tuple(str(int(one)) if whole else repr(float(one)) for one in values)


def _between(kind: str, low: Decimal, high: Decimal, share: Decimal) -> Decimal:
    if kind == "log":
        return _EXACT.multiply(low, _EXACT.power(_EXACT.divide(high, low), share))
    return _EXACT.add(low, _EXACT.multiply(_EXACT.subtract(high, low), share))


def _number(part: str, text: str, *, whole: bool) -> Decimal:
    try:
        value = Decimal(part.strip())
    except InvalidOperation:
        raise _fault(f"an end of a range is no number ({part})", text) from None
    if not value.is_finite() or abs(value) > Decimal("1e300"):
        raise _fault(f"an end of a range is no finite number ({part})", text)
    if whole and value != value.to_integral_value():
        raise _fault(f"the field takes whole numbers, an end of its range is none ({part})", text)
    return value


def _fault(what: str, text: str) -> ConfigError:
    return ConfigError(what, text, "Say for example --grid lr=log:1e-4..1e-2:4.")
