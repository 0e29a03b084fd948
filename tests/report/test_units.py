import pytest

from pumice.report import units


@pytest.mark.parametrize(
    ("shown", "want"),
    [
        (units.milliseconds(1.8349), "1.83 ms"),
        (units.milliseconds(0.0421), "0.042 ms"),
        (units.milliseconds(123.4), "123 ms"),
        (units.milliseconds(None), "–"),
        (units.count(21_047_984), "21.0 M"),
        (units.count(9_999), "9,999"),
        (units.count(12_345), "12.3 k"),
        (units.count(999_960), "1,000 k"),
        (units.count(0), "0"),
        (units.size(3_210_000), "3.21 MB"),
        (units.size(512), "512 B"),
        (units.percent(0.91349), "91.3 %"),
        (units.seconds(95), "1 min 35 s"),
        (units.seconds(3700), "1 h 1 min"),
        (units.side([3, 96, 96]), "96"),
        (units.side([3, 96, 128]), "96×128"),
        (units.image_size(None), "–"),
        (units.plain(0.0625), "0.0625"),
    ],
)
def test_numbers_as_people_read_them(shown, want):
    assert shown == want
