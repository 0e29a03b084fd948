"""The oldest versions that are used to quantise; older ones lack what the schemes ask of them."""

from importlib import metadata

from pumice.deploy import formats
from pumice.deploy.formats import RUNTIMES
from pumice.deploy.schemes.scheme import Scheme
from pumice.errors import BadInput

# By the name under which a package is imported: the runtimes', and those that only writing needs.
MINIMUM = {RUNTIMES[name].package: least for name, (_, least) in formats.MINIMUM.items()}
MINIMUM |= {"nncf": "2.18", "litert_torch": "0.8"}


def require_recent(scheme: Scheme) -> None:
    """
    Raises:
        BadInput: a package behind a scheme or its runtime is too old.
    """
    for package in (RUNTIMES[scheme.runtime].package, *scheme.packages):
        if (least := MINIMUM.get(package)) is None:
            continue
        try:
            have = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # built from source, under no name: nothing says that it is old
        if formats.numbers(have) < formats.numbers(least):
            raise BadInput(
                f"{package} {have} is too old for {scheme.name}, which needs {least} or newer; "
                f"run `pip install -U '{package.replace('_', '-')}>={least}'`"
            )
