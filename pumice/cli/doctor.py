"""`pumice doctor`: this machine and installation."""

from pumice.cli import show
from pumice.cli.options import Json


def command(json: Json = False) -> None:
    """Check this machine and installation; ends with 1 when something must be mended."""
    from dataclasses import asdict

    from pumice.cost.doctor import examine
    from pumice.errors import CheckFailed

    findings = examine()
    if json:
        show.emit([asdict(f) for f in findings])
    else:
        show.table(["", "what", "found"], [("ok" if f.ok else "!!", f.name, f.detail) for f in findings])
    # A busy machine is worth saying, but it is nothing to mend.
    bad = [f.name for f in findings if not f.ok and f.name != "load"]
    if bad:
        raise CheckFailed(f"{len(bad)} of {len(findings)} need attention: {', '.join(bad)}")
