import os

import pytest

from sanitizers import Reports


@pytest.fixture(scope="session", autouse=True)
def sanitizer_reports(tmp_path_factory):
    """Before any program starts; what a program reports while it ends counts against the last test."""
    reports = Reports(tmp_path_factory.mktemp("sanitizers"))
    os.environ.update(reports.environment)
    yield reports
    text = reports.new()
    assert not text, text


@pytest.fixture(autouse=True)
def no_sanitizer_reports(sanitizer_reports, tmp_path):
    """After the servers of the test have ended and before their logs go."""
    yield
    text = sanitizer_reports.new()
    assert not text, text
