"""Compound scaling: Tan and Le, "EfficientNet", ICML 2019, arXiv:1905.11946, section 3.3, for every family.

depth = alpha^phi, width = beta^phi, side = gamma^phi, alpha * beta^2 * gamma^2 near 2: so multiply-adds grow by 2^phi,
up to rounding, and up to depthwise convolutions, whose cost grows with beta alone.  Step 1 tries alpha, beta and gamma
at phi = 1, each with the same short training; step 2 keeps the best and raises phi.  The paper found 1.2, 1.1, 1.15.
The grid, its steps of 0.05 and its tolerance of 0.1, is ours; the paper does not print one.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from pumice.errors import BadInput
from pumice.files import read_json, write_json
from pumice.models.families import DEPTH, options_of, spec_of, variant
from pumice.models.network_file import NetworkFile
from pumice.models.spaces.space import Choice, Position, Space
from pumice.models.spec import NetSpec
from pumice.search.costs import MAdds, Params
from pumice.search.objective import Objective
from pumice.search.problem import Problem
from pumice.search.searcher import Searcher, run
from pumice.search.trial import Trial
from pumice.train.config import TrainConfig

Say = Callable[[str], None]
WIDTH = "width"


@dataclass(frozen=True)
class Coefficients:
    """How depth, width and side grow for each doubling of the multiply-adds."""

    alpha: float
    beta: float
    gamma: float

    def at(self, phi: float) -> tuple[float, float, float]:
        """Depth, width and side, as multiples."""
        return self.alpha**phi, self.beta**phi, self.gamma**phi

    def __str__(self) -> str:
        return f"{self.alpha:g} {self.beta:g} {self.gamma:g}"


PAPER = Coefficients(1.2, 1.1, 1.15)


def grid(step: float = 0.05, most: float = 1.4, tolerance: float = 0.1) -> list[Coefficients]:
    """All from 1 to `most` in steps with |alpha beta^2 gamma^2 - 2| within the tolerance.

    Raises:
        BadInput: there are none.
    """
    if not 0 < step < most - 1 + 1e-9:
        raise BadInput(f"a grid of steps of {step:g} from 1 to {most:g} is empty; give steps such as 0.05")
    values = [round(1 + i * step, 6) for i in range(int((most - 1) / step + 1e-9) + 1)]
    found = [
        Coefficients(a, b, g) for a, b, g in product(values, repeat=3) if abs(a * b**2 * g**2 - 2) <= tolerance + 1e-9
    ]
    if not found:
        raise BadInput(f"no alpha, beta, gamma in steps of {step:g} double the cost to {tolerance:g}; give finer steps")
    return found


class Scaled(Space):
    """One network under several coefficients at one phi: a position whose options are the coefficients.

    model: a classifier of ours with an option of its width; its own options, changed by `given`, are the base.
    side: of the base, pixels; None is the network's own.
    Coefficients that round to the same network count once, as the first of them.
    """

    def __init__(
        self,
        model: str,
        coefficients: Sequence[Coefficients],
        *,
        phi: float = 1.0,
        side: int | None = None,
        given: dict[str, Any] | None = None,
    ) -> None:
        self.model, self.given, self.phi = model, dict(given or {}), phi
        if ":" in model or not isinstance(spec_of(model, self.given), NetSpec):
            raise BadInput(f"{model} is no classifier made of rows, so it cannot be scaled; name mobilenetv2_100, say")
        base = {**options_of(model), **self.given}
        if WIDTH not in base:
            raise BadInput(f"{model} has no option width, so it cannot be scaled; name another net")
        self.base, self.name = base, f"{model} scaled"
        self.side = variant(model).image[0] if side is None else side
        self.num_classes = variant(model).num_classes
        distinct: dict[Any, Coefficients] = {}
        for one in coefficients:
            distinct.setdefault((spec_of(model, self._options(one)), self._side(one)), one)
        self.coefficients = tuple(distinct.values())
        self.positions = (Position("alpha beta gamma", tuple(map(str, self.coefficients))),)

    @property
    def options(self) -> dict[str, Any]:
        """None: its networks are not called `space:NAME`."""
        return {}

    def spec(self, choice: Choice) -> NetSpec:
        """The rows of the scaled network."""
        spec = spec_of(self.model, self._options(self.coefficients[choice[0]]))
        assert isinstance(spec, NetSpec)
        return spec

    def image_of(self, choice: Choice) -> tuple[int, int]:
        """A square."""
        side = self._side(self.coefficients[choice[0]])
        return side, side

    def network(self, choice: Choice) -> tuple[str, dict[str, Any]]:
        """The family's own name, with width and depth."""
        return self.model, self._options(self.coefficients[choice[0]])

    def _options(self, of: Coefficients) -> dict[str, Any]:
        depth, width, _ = of.at(self.phi)
        scaled = {DEPTH: depth * self.base.get(DEPTH, 1.0), WIDTH: width * self.base[WIDTH]}
        return {**self.given, **{key: round(value, 6) for key, value in scaled.items()}}

    def _side(self, of: Coefficients) -> int:
        """The nearest even number; a larger one where the network does not take it."""
        side = 2 * round(self.side * of.at(self.phi)[2] / 2)
        sides = spec_of(self.model, self.given).sides
        return next(n for n in range(side, side + 1000) if sides.allow(n, n))


class Each(Searcher):
    """Every choice once, in order: for spaces small enough to try all."""

    def propose(self, number: int, finished: Sequence[Trial], pending: Collection[Choice] = ()) -> Choice | None:
        """The first that nobody has judged or is judging."""
        seen = {*(trial.choice for trial in finished), *pending}
        options = (range(len(position.options)) for position in self.problem.space.positions)
        return next((choice for choice in product(*options) if choice not in seen), None)


@dataclass(frozen=True)
class Row:
    """A scaled network: what was asked for, what came of it after rounding, and what it really costs.

    growth: multiply-adds over those of the base; asked: 2^phi.
    """

    phi: float
    alpha: float
    beta: float
    gamma: float
    depth: float
    width: float
    side: int
    rows: int
    madds: int
    params: int
    growth: float
    asked: float
    accuracy: float | None = None
    seconds: float | None = None


def row_of(space: Scaled, choice: Choice, num_classes: int | None = None, **known: Any) -> Row:
    """The true counts of a scaled network."""
    base = Scaled(space.model, [PAPER], phi=0.0, side=space.side, given=space.given)
    madds, params = (int(cost(space, num_classes).of(choice)) for cost in (MAdds, Params))
    of = space.coefficients[choice[0]]
    _, options = space.network(choice)
    return Row(
        space.phi,
        *(of.alpha, of.beta, of.gamma),
        *(options[DEPTH], options[WIDTH], space.image_of(choice)[0]),
        len(space.spec(choice).rows),
        *(madds, params, madds / MAdds(base, num_classes).of((0,)), 2.0**space.phi),
        **known,
    )


def scaled(
    model: str,
    phis: Sequence[float],
    of: Coefficients = PAPER,
    *,
    side: int | None = None,
    num_classes: int | None = None,
    given: dict[str, Any] | None = None,
) -> list[Row]:
    """A network at several phi, with its true counts."""
    return [row_of(Scaled(model, [of], phi=phi, side=side, given=given), (0,), num_classes) for phi in phis]


def scaling(
    model: str,
    config: TrainConfig,
    *,
    phi: Sequence[float] = (1, 2, 3),
    out: str | Path,
    seed: int = 0,
    step: float = 0.05,
    most: float = 1.4,
    tolerance: float = 0.1,
    holdout: float = 0.2,
    images: int | None = None,
    objective: Objective | None = None,
    num_classes: int | None = None,
    said: Say = lambda line: None,
) -> dict[str, Any]:
    """Search alpha, beta and gamma with short trainings, then scale: `scaling.json`, and a network file for each phi.

    A search that was stopped goes on after the last finished training.  Of equal accuracies the cheapest net wins.

    Args:
        model: of ours, a chain of rows with a width.
        config: of every training; `img_size` is the base's side, `model_options` are options of the base.
        phi: to scale to.
        out: folder of the results.
        seed, holdout, images: see `ProxyTraining`.
        step, most, tolerance: see `grid`.
        objective: judges choices of `Scaled`; short trainings by default, and then `num_classes` is that of the data.
        said: told a line for every training.

    Returns:
        what scaling.json holds: the base, trials (rows of the grid), best (three coefficients), scaled (rows).

    Raises:
        BadInput: the net cannot be scaled, the grid is empty, or `out` holds a search with other settings.
    """
    side = config.size[0] if config.size is not None else None
    space = Scaled(model, grid(step, most, tolerance), side=side, given=config.model_options)
    if objective is None:
        from pumice.search.proxy import ProxyTraining

        plain = replace(config, model=model, img_size=None)
        proxy = ProxyTraining(space, plain, seed=seed, holdout=holdout, images=images)
        objective, num_classes = proxy, len(proxy.splits.classes)
    file = Path(out) / "scaling.json"
    settings = {"model": model, "side": space.side, "options": space.given, "seed": seed, "holdout": holdout}
    settings |= {"images": images, "grid": [str(one) for one in space.coefficients], "training": config.to_json()}
    rows = _begun(file, settings)
    problem = Problem(space)
    finished = [Trial(i, (i,), row.accuracy or 0.0, None, row.accuracy or 0.0) for i, row in enumerate(rows)]
    began = time.perf_counter()
    for trial in run(Each(problem, seed), objective, len(space.coefficients), finished):
        seconds = time.perf_counter() - began
        one = Scaled(model, [space.coefficients[trial.choice[0]]], side=space.side, given=space.given)
        rows.append(row_of(one, (0,), num_classes, accuracy=trial.accuracy, seconds=round(seconds, 3)))
        write_json(file, {"settings": settings, "trials": [asdict(row) for row in rows]})
        said(f"{len(rows)} of {len(space.coefficients)}: {space.coefficients[trial.choice[0]]}  {trial.accuracy:.1%}")
        began = time.perf_counter()
    best = max(rows, key=lambda row: (row.accuracy or 0.0, -row.madds))
    of = Coefficients(best.alpha, best.beta, best.gamma)
    further = scaled(model, phi, of, side=space.side, num_classes=num_classes, given=space.given)
    for row in further:
        one = Scaled(model, [of], phi=row.phi, side=space.side, given=space.given)
        tried = row.phi == space.phi
        known = {"accuracy": best.accuracy if tried else None, "cost": row.madds, "unit": MAdds.unit}
        known |= {"method": "scaling", "trial": rows.index(best) if tried else None, "phi": row.phi, **asdict(of)}
        classes = one.num_classes if num_classes is None else num_classes
        found = NetworkFile(*one.network((0,)), classes, 3, (3, row.side, row.side), known)
        found.write(Path(out) / f"phi-{row.phi:g}.json")
    record = {
        "settings": settings,
        "trials": [asdict(row) for row in rows],
        "best": asdict(of),
        "scaled": [asdict(row) for row in further],
    }
    write_json(file, record)
    return record


def _begun(file: Path, settings: dict[str, Any]) -> list[Row]:
    """The trials that an earlier call has finished."""
    if not file.is_file():
        return []
    value = read_json(file)
    if value.get("settings") != settings:
        raise BadInput(f"{file} is of a search with other settings; name another folder")
    return [Row(**row) for row in value["trials"]]
