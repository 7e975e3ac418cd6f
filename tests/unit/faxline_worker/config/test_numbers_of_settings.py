"""Numbers that no clock can count are refused by one line that names the variable."""

import pytest

from faxline_worker.config.settings import read_settings
from faxline_worker.config.source import SettingsError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            ("RETRIES__DELIVERY__BUSY", text)
            for text in ("[]", "[0]", "[-1]", "[60,1e18]", "1e400", "[0.0001]")
        ),
        *(("POLL__SCHEDULE", text) for text in ("[]", "[0]", "[0.0001]", "[1e300]", "[2,1]", "[1,1]", "120")),
        *(("HTTP_RATE", text) for text in ("0", "1e-300", "1", "inf")),
        ("HTTP_TIMEOUT", "inf"),
        ("LIMITS__REQUESTS", "1" + "0" * 400),
        ("CEILINGS__BYTES", "1" + "0" * 14),
        ("NUMBERS__CONCURRENT", "1" + "0" * 30),
    ],
)
def test_a_number_that_no_clock_can_count_is_refused(name: str, text: str) -> None:
    variable = f"FAXLINE_{name}"
    with pytest.raises(SettingsError) as refused:
        read_settings({"FAXLINE_ACCOUNTS__A__TOKEN": "a-token", variable: text})
    assert str(refused.value).startswith(variable)
    assert "\n" not in str(refused.value)
