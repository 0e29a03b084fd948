"""Weights and architecture of a supernet, trained in turn."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from pumice.data.order import mix
from pumice.errors import BadInput, CheckFailed
from pumice.files import write_json
from pumice.progress import track
from pumice.search.supernet.gates import entropy, gumbel, most_probable, one_hot, probabilities
from pumice.search.supernet.images import Batches
from pumice.search.supernet.relaxed import Relaxed, factor
from pumice.search.supernet.schedule import Schedule

STATE, LOG = "supernet.pt", "supernet.json"
Record = dict[str, Any]


def alternate(
    net: Relaxed,
    for_weights: Batches,
    for_theta: Batches,
    schedule: Schedule,
    *,
    seed: int = 0,
    folder: Path | None = None,
    what: dict[str, Any] | None = None,
    told: Callable[[Record], None] | None = None,
) -> list[Record]:
    """Train in place: each epoch one pass for the weights, then, after the warm-up, one for theta.

    The weights minimise the cross-entropy, theta minimises cross-entropy * alpha * log(cost)^beta, both under gates
    drawn anew for each batch.  Norms use the statistics of the batch throughout.  Batch number i of an epoch draws as
    (seed, epoch, i) says.

    Args:
        folder: where the state is kept after each epoch; what is there is gone on from, and on a CPU the result is the
            same to the last bit.  `supernet.json` is the log.
        what: JSON values that a state must agree with to be gone on from (space, data, ...).
        told: called with the record of each epoch.

    Returns:
        a record per epoch: epoch; tau; lr; ce_weights and ce_theta, mean cross-entropies (None in the warm-up); factor
        and cost, the mean of alpha * log(cost)^beta and of the cost under the gates drawn; expected_cost, under
        softmax(theta); argmax_cost and choice, of the most probable network; theta, probabilities; entropy, nats, of
        each position; seconds.

    Raises:
        BadInput: the folder holds another search's state, or a damaged one; the cost can be 1 or less.
        CheckFailed: the loss is no longer a number.
    """
    weights = torch.optim.SGD(net.weights(), schedule.lr, momentum=schedule.momentum, weight_decay=schedule.decay)
    theta = torch.optim.Adam(net.theta.parameters(), schedule.theta_lr, weight_decay=schedule.theta_decay)
    key = {"seed": seed, "schedule": asdict(schedule), **(what or {})}
    history: list[Record] = []
    if folder is not None and (folder / STATE).exists():
        history = _restore(folder / STATE, key, net, weights, theta)
    first = len(history)
    for epoch in track(range(first, schedule.epochs), "Training the supernet"):
        began, tau = time.monotonic(), schedule.tau_at(epoch)
        weights.param_groups[0]["lr"] = schedule.lr_at(epoch)
        net.train()
        record: Record = {"epoch": epoch, "tau": tau, "lr": schedule.lr_at(epoch), "ce_theta": None}
        record["ce_weights"], *_ = _pass(net, for_weights, weights, None, tau, (seed, epoch, 0))
        if epoch >= schedule.warmup:
            means = _pass(net, for_theta, theta, schedule, tau, (seed, epoch, 1))
            record["ce_theta"], record["factor"], record["cost"] = means
        history.append({**record, **_architecture(net), "seconds": time.monotonic() - began})
        if folder is not None:
            _save(folder, key, net, weights, theta, history)
        if told is not None:
            told(history[-1])
    return history


def _pass(
    net: Relaxed,
    batches: Batches,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule | None,
    tau: float,
    place: tuple[int, int, int],
) -> tuple[float, float | None, float | None]:
    """One epoch of one optimiser, theta's where there is a schedule; mean cross-entropy, factor and cost."""
    seed, epoch, part = place
    device = net.theta[0].device
    learning = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    sums, count = torch.zeros(3), 0
    for i, (x, labels) in enumerate(batches(epoch)):
        with _drawn(mix(seed, epoch, 2 * i + part), device):
            gates = gumbel(list(net.theta), tau)
            if schedule is None:
                gates = [gate.detach() for gate in gates]
            error = net.error(x.to(device), labels.to(device), gates)
            loss, cost = error, None if schedule is None else net.cost(gates)
            scale = error.new_ones(())
            if schedule is not None and cost is not None:
                scale = factor(cost, schedule.alpha, schedule.beta)
                loss = error * scale
        for parameter, gradient in zip(learning, torch.autograd.grad(loss, learning), strict=True):
            parameter.grad = gradient
        optimizer.step()
        sums += torch.stack([v.detach().cpu().float() for v in (error, scale, loss if cost is None else cost)])
        count += 1
    if count == 0 or not bool(sums.isfinite().all()):
        raise CheckFailed(
            f"the loss of the supernet is no longer a number in epoch {epoch}; lower its learning rate"
            if count
            else "there are too few images for one batch; lower the batch size"
        )
    optimizer.zero_grad(set_to_none=True)
    mean = (sums / count).tolist()
    return mean[0], *((mean[1], mean[2]) if cost is not None else (None, None))


@contextmanager
def _drawn(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators, and put back those of the CPU and of this device."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _architecture(net: Relaxed) -> Record:
    """Where theta stands."""
    theta = list(net.theta)
    shares, choice = probabilities(theta), most_probable(theta)
    with torch.no_grad():
        expected = net.cost(shares)
        taken = net.cost(one_hot(net.space, choice, theta[0].device))
    return {
        "expected_cost": None if expected is None else float(expected),
        "argmax_cost": None if taken is None else float(taken),
        "choice": list(choice),
        "theta": [t.detach().tolist() for t in theta],
        "probabilities": [share.tolist() for share in shares],
        "entropy": [entropy(share) for share in shares],
    }


def _save(folder: Path, key: Record, net: Relaxed, *rest: Any) -> None:
    from pumice.train.state import FORMAT, write_state  # which imports lightning

    weights, theta, history = rest
    state = {
        "format": FORMAT,
        "key": key,
        "net": net.state_dict(),
        "weights": weights.state_dict(),
        "theta": theta.state_dict(),
        "history": history,
    }
    write_state(folder / STATE, state)
    write_json(folder / LOG, history)


def _restore(path: Path, key: Record, net: Relaxed, *optimizers: torch.optim.Optimizer) -> list[Record]:
    from pumice.train.state import read_state

    state = read_state(path)
    kept = state.get("key", {})
    if kept != key:
        other = sorted(name for name in {*key, *kept} if key.get(name) != kept.get(name))
        raise BadInput(f"{path} is of a search with another {' and '.join(other)}; name another folder, or remove it")
    net.load_state_dict(state["net"])
    for optimizer, name in zip(optimizers, ("weights", "theta"), strict=True):
        optimizer.load_state_dict(state[name])
    history: list[Record] = state["history"]
    return history
