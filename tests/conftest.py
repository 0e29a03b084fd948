"""Nothing that the tests do reaches the user's own cache."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUMICE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
