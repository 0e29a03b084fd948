"""What the benchmark of MnasNet's controller calls regret, a window and better."""

from pathlib import Path

import numpy as np
import pytest
import search_rl

from pumice.search.trial import Trial


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Accuracy rises with the sum of the digits, and so do multiply-adds: 10 M and 5 M a digit."""
    lines = ["arch,acc1,acc2,acc3,flops"]
    for choice in np.ndindex(*[3] * 8):
        total = sum(choice)
        lines.append(f"{''.join(map(str, choice))},{50 + total},{51 + total},{52 + total},{(10 + 5 * total) * 1000000}")
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "table.csv"


def test_regret_is_to_the_best_of_the_table_within_the_budget(table: Path) -> None:
    accuracies, problem = search_rl.read(table)[0], search_rl.problem(table, 50e6)
    choices = [(0,) * 8, (2,) * 8, (2, 2, 2, 1, 0, 0, 0, 0)]  # within, best of all but beyond, within
    trials = [problem.judged(n, c, accuracies.accuracies[c]) for n, c in enumerate(choices)]
    assert search_rl.regrets(problem, accuracies, trials, (1, 2, 3)) == pytest.approx([8, 8, 1])
    assert search_rl.regrets(problem, accuracies, [Trial(0, (2,) * 8, 0.67, 90e6, 0.3)], (1,)) == pytest.approx([59])


def test_one_search_says_what_its_samples_and_queries_were_worth(table: Path) -> None:
    found = search_rl.one(table, "ppo", 50e6, 0, 200)
    assert len(found["windows"]) == 2
    assert 0 < found["queries"] <= 200
    assert len(found["regret"]) == len(found["random"]) == 4
    assert all(regret >= 0 for regret in (*found["regret"], *found["random"]))
    assert found["entropy"][0] == pytest.approx(8 * np.log(3), abs=0.1)


def test_better_has_a_direction() -> None:
    low, high = list(range(10)), [n + 1 + n / 10 for n in range(10)]
    assert search_rl.greater(high, low) < 0.01
    assert search_rl.greater(low, high) > 0.99
    assert search_rl.greater(low, low) == 1
