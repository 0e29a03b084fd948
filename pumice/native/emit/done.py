"""What is done to a vector of pixels before or after a layer, as a function."""

from string import Template

from pumice.native.emit.expressions import Written

_FUNCTION = Template("""
INLINE V ${name}_${what}(const Run *r, const Operands *a, V x, int o, int i) {
    (void)r; (void)a; (void)o; (void)i;
    ${ahead}
    return ${vector};
}
""")


def done(name: str, what: str, one: Written) -> str:
    """A function NAME_WHAT of a vector of results x: what is done "before" or "after" a layer."""
    return _FUNCTION.substitute(name=name, what=what, ahead=one.ahead, vector=one.vector)
