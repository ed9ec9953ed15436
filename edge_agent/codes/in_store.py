"""Labels that a scale prints in the shop: 13 digits with amount or weight, 18 digits with both.

The prefix (20 to 29) and the meaning of the fields are set in the scale, so they come from the profile and are
never guessed. The layouts rest on practice (scale makers' command strings, shop software), not on a standard;
GB/T 18283 gives 20 to 24 to shops in China.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from edge_agent.codes.check_digits import mod10, mod10_holds, price_verifier
from edge_agent.codes.profile import LabelTemplate
from edge_agent.codes.values import Finding, Problem, verdict


def template_for(digits: str, templates: Iterable[LabelTemplate]) -> LabelTemplate | None:
    """The first template of this length and prefix."""
    for template in templates:
        if len(template.layout) == len(digits) and digits.startswith(template.prefix):
            return template
    return None


def read_label(digits: str, template: LabelTemplate) -> Finding:
    """What a label says: `plu`, and `amount` (yuan) or `weight_kg` or both, as decimal texts."""
    fields = {"prefix": template.prefix, "plu": template.field(digits, "I")}
    problems: list[Problem] = []
    amount, weight = template.field(digits, "M"), template.field(digits, "W")
    if amount:
        fields["amount"] = _decimal(amount, template.amount_decimals)
    if weight:
        fields["weight_kg"] = _decimal(weight, template.weight_decimals)
    verifier = template.field(digits, "K")
    if verifier:
        start = template.layout.index("K") + 1
        verified = template.field(digits, template.layout[start])
        right = price_verifier(verified)
        if verifier != str(right):
            problems.append(Problem("verifier", f"price verifier is {verifier}, {right} is right"))
    if not mod10_holds(digits):
        words = f"check digit is {digits[-1]}, {mod10(digits[:-1])} is right"
        problems.append(Problem("check-digit", words))
    return Finding(
        code_class="in-store", valid=verdict(problems, checked=True), fields=fields, problems=tuple(problems)
    )


def _decimal(digits: str, decimals: int) -> str:
    return format(Decimal(digits).scaleb(-decimals), "f")
