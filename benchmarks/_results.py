"""Results of a benchmark, and their table."""

from typing import NamedTuple


class Result(NamedTuple):
    """One measured number. ``bound`` is the requirement, for instance (">=", 600), or None."""

    name: str
    value: float
    unit: str
    bound: tuple[str, float] | None = None

    @property
    def met(self):
        """Whether the requirement is met; None if there is none."""
        if self.bound is None:
            return None
        sign, limit = self.bound
        return self.value >= limit if sign == ">=" else self.value <= limit

    def as_dict(self):
        return {**self._asdict(), "met": self.met}


def table(title, results):
    """Text with a title, and name, value, unit and requirement of each result."""
    width = max(len(r.name) for r in results)
    lines = [title, "-" * len(title)]
    for r in results:
        line = f"{r.name:<{width}}  {_number(r.value):>10} {r.unit}"
        if r.bound is not None:
            sign, limit = r.bound
            line = f"{line:<{width + 32}}  required {sign} {limit:g}: {'met' if r.met else 'NOT MET'}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
