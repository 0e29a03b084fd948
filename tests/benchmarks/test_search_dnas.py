"""Where a network stands in a table, and the part of the images that a supernet sees."""

from search_dnas import reduced, standing

from pumice.data.digits import open_digits


def test_ranks_count_the_better_ones() -> None:
    accuracy = {(0,): 0.5, (1,): 0.9, (2,): 0.8, (3,): 0.8}
    madds = {(0,): 1.0, (1,): 9.0, (2,): 5.0, (3,): 5.0}
    found = standing((2,), accuracy, madds)
    assert (found["network"], found["rank"], found["of"]) == ("2", 2, 4)
    assert (found["rank_within_madds"], found["of_within_madds"], found["best_within_madds"]) == (1, 3, 0.8)
    assert standing((0,), accuracy, madds)["rank"] == 4


def test_every_class_keeps_as_many_images() -> None:
    splits = reduced(open_digits(), 200)
    assert [splits.train.labels.count(label) for label in range(10)] == [20] * 10
