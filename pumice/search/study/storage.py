"""A database of trials by its URL, and what a user sees when it is locked, gone or not one."""

import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pumice.errors import BadInput

T = TypeVar("T")
TURN = 0x70756D69  # names our lock in a PostgreSQL database
CONNECT = {"connect_timeout": 10, "client_encoding": "utf8"}  # a database without an encoding would answer bytes
LOCKED = ("database is locked", "database table is locked")


def read_url(text: str | Path) -> str:
    """A file or URL as SQLAlchemy takes it.

    Raises:
        BadInput: neither SQLite nor PostgreSQL.
    """
    text = str(text)
    if "://" not in text:
        return f"sqlite:///{Path(text).absolute()}"
    scheme, rest = text.split("://", 1)
    if scheme == "sqlite" and rest.startswith("/") and rest != "/":
        return text
    if scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        return f"postgresql+psycopg://{rest}"
    raise BadInput(f"the storage {shown(text)} is neither sqlite:///FILE nor postgresql://USER@HOST/DATABASE")


def shown(url: str) -> str:
    """The URL without its password."""
    scheme, separator, rest = url.partition("://")
    who, at, where = rest.rpartition("@")
    return f"{scheme}{separator}{who.split(':')[0]}{at}{where}"


class Storage:
    """optuna: Optuna's storage.  Everything that asks it goes through `patiently`.

    Args:
        url: see `read_url`.
        beat_s, grace_s: seconds between two heartbeats of a worker, and without one until it counts as dead.
        wait_s: how long a locked or unreachable database is asked again.

    Raises:
        BadInput: optuna is not installed, or the database cannot be opened.
    """

    def __init__(self, url: str | Path, *, beat_s: int = 15, grace_s: int = 90, wait_s: float = 60.0) -> None:
        try:
            import optuna
        except ImportError as error:
            raise BadInput("a search needs optuna; install it with `pip install 'pumice[search]'`") from error
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed", module="optuna")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.url, self.wait_s, self.beat_s = read_url(url), wait_s, beat_s
        self.name = shown(self.url).removeprefix("sqlite:///").replace("+psycopg", "")
        self._file = Path(self.url.removeprefix("sqlite:///")) if self.url.startswith("sqlite") else None
        self._engine: Any = None
        if self._file is not None and not self._file.parent.is_dir():
            raise BadInput(f"no folder {self._file.parent} for the database {self._file.name}")
        engine_kwargs: dict[str, Any] = {"pool_pre_ping": True, "connect_args": CONNECT}
        if self._file is not None:
            engine_kwargs = {"connect_args": {"timeout": 5.0}}

        def begin() -> Any:
            with self.turn():  # of several workers that begin on an empty database, one makes the tables
                return optuna.storages.RDBStorage(
                    self.url, engine_kwargs=engine_kwargs, heartbeat_interval=beat_s, grace_period=grace_s
                )

        self.optuna = self.patiently(begin, only_locked=True)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """While one worker has the turn, no other takes a trial.  The system ends it with the process that has it.

        It is a transaction: of PostgreSQL an advisory lock, of SQLite a second file, since the first must stay
        writable meanwhile.
        """
        if self._file is not None:
            connection = sqlite3.connect(f"{self._file}.turn", timeout=self.wait_s, isolation_level=None)
            try:
                connection.execute("BEGIN EXCLUSIVE")
                yield
            finally:
                connection.close()
            return
        import sqlalchemy

        if self._engine is None:
            try:
                self._engine = sqlalchemy.create_engine(
                    self.url, poolclass=sqlalchemy.pool.NullPool, connect_args=CONNECT
                )
            except ImportError as error:
                raise BadInput("PostgreSQL needs psycopg; install it with `pip install 'pumice[search]'`") from error
        with self._engine.begin() as connection:
            # A machine that vanishes must not keep the turn for the two hours after which TCP notices.
            connection.execute(sqlalchemy.text("SET LOCAL tcp_keepalives_idle = 20"))
            connection.execute(sqlalchemy.text("SET LOCAL tcp_keepalives_interval = 10"))
            connection.execute(sqlalchemy.text("SET LOCAL tcp_keepalives_count = 3"))
            connection.execute(sqlalchemy.text(f"SELECT pg_advisory_xact_lock({TURN})"))
            yield

    def patiently(self, call: Callable[[], T], *, only_locked: bool = False) -> T:
        """What the call answers; it is made again while the database is locked or, `only_locked` aside, unreachable.

        Raises:
            BadInput: it stays so.
        """
        import optuna
        import sqlalchemy

        wrong = (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error)
        until = time.monotonic() + self.wait_s
        while True:
            try:
                return call()
            except (*wrong, RuntimeError, AssertionError) as error:
                if not isinstance(error, wrong):
                    if "optuna" in str(error).lower() and "version" in str(error).lower():
                        raise BadInput(f"{self.name} was made by another version of optuna: {error}") from error
                    raise
                reason = _reason(error)
                locked = any(one in reason for one in LOCKED)
                if time.monotonic() < until and (locked or (not only_locked and _passing(error))):
                    time.sleep(0.2)
                    continue
                if locked:
                    raise BadInput(
                        f"{self.name} has been locked by another process for {self.wait_s:g} s; end that one, "
                        "then go on with --resume"
                    ) from error
                raise BadInput(f"the database {self.name} cannot be used: {reason}") from error

    def close(self) -> None:
        """Let go of the connections."""
        self.optuna.scoped_session.remove()
        self.optuna.engine.dispose()
        if self._engine is not None:
            self._engine.dispose()


def _cause(error: BaseException) -> BaseException:
    """The database's own complaint, which two libraries wrap."""
    while True:
        inner = getattr(error, "orig", None) or error.__cause__
        if inner is None:
            return error
        error = inner


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(_cause(error)).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".:")


def _passing(error: BaseException) -> bool:
    """Whether it may be over in a moment, as a lost connection may."""
    return type(_cause(error)).__name__ in ("OperationalError", "AdminShutdown", "ConnectionTimeout", "InterfaceError")
