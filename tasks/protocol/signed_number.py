"""Numbers with their sign, as people read them."""


def signed(value: float, decimals: int) -> str:
    """Return a number with its sign, in so many decimals; what rounds to zero has none."""
    text = f"{value:+,.{decimals}f}"
    return text if text.strip("+-0.,") else text[1:]
