"""Arguments, times and passwords."""

from __future__ import annotations

from datetime import date

import pytest

from ecom_pipeline import moment
from ecom_pipeline.config import Parser, password
from ecom_pipeline.errors import PipelineError


def test_a_time_is_read_to_the_microsecond() -> None:
    noon = moment.parse("2026-03-01T12:00:00Z")
    assert noon == 1_772_366_400_000_000
    assert moment.parse("2026-03-01T17:30:00.000001+05:30") == noon + 1
    assert moment.text(noon + 1) == "2026-03-01T12:00:00.000001+00:00"
    assert moment.day(noon) == date(2026, 3, 1)
    assert moment.parse(moment.text(-1)) == -1


@pytest.mark.parametrize("text", ["yesterday", "2026-03-01", "2026-03-01T12:00:00", "1772366400"])
def test_a_time_without_meaning_is_refused(text: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        Parser("gold", "").read(["--lake-root", "x", "--as-of", text])
    assert stopped.value.code == 2
    assert "is no RFC 3339 time; write it like 2026-03-01T00:00:00Z" in capsys.readouterr().err


def test_no_time_is_the_present() -> None:
    assert Parser("gold", "").read(["--lake-root", "x", "--as-of", ""]).as_of is None
    assert Parser("gold", "").read(["--lake-root", "x"]).as_of is None


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("s3cret", "s3cret"),
        ('{"username": "shop", "password": "s3cret"}', "s3cret"),
        ("12345", "12345"),
        ('"quoted"', '"quoted"'),
        ("{brace", "{brace"),
    ],
)
def test_a_password_is_bare_or_in_json(value: str, want: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", value)
    assert password("SOME_SECRET") == want


@pytest.mark.parametrize("value", ["", '{"username": "shop"}', '{"password": 1}'])
def test_a_missing_password_is_told_without_the_secret(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", value)
    with pytest.raises(PipelineError, match="SOME_SECRET") as failure:
        password("SOME_SECRET")
    assert "username" not in str(failure.value) or not value
