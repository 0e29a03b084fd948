"""The defaults of small data."""

from pumice.recipes.small_data import classify


def test_digits_are_never_mirrored() -> None:
    assert classify("digits", "micronet_m0").hflip == 0.0
    assert classify("photos", "micronet_m0").hflip == 0.5


def test_trained_weights_are_adapted_gently_and_changes_win() -> None:
    fresh, adapted = classify("photos", "micronet_m0"), classify("photos", "micronet_m0", pretrained=True)
    assert adapted.lr < fresh.lr
    assert adapted.epochs < fresh.epochs
    assert classify("digits", "micronet_m0", lr=0.5, hflip=0.1).lr == 0.5
