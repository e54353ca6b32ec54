"""Passwords, tokens and signatures in addresses: none is written down."""

import pytest

from recapdata.addresses import without_secrets


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("https://ana:pw@images.example/a.jpg", "https://images.example/a.jpg"),
        ("https://TOKEN@images.example/a.jpg?w=64", "https://images.example/a.jpg?w=64"),
        ("https://a:b@c@images.example/a.jpg", "https://images.example/a.jpg"),
        ("http://x.example/a.jpg?w=64&token=abc&h=8", "http://x.example/a.jpg?w=64&token=REDACTED&h=8"),
        ("http://x.example/a.jpg?ACCESS_TOKEN=abc", "http://x.example/a.jpg?ACCESS_TOKEN=REDACTED"),
        (
            "https://b.s3.example/a.jpg?X-Amz-Credential=AK%2F1&X-Amz-Date=2026&X-Amz-Signature=ff",
            "https://b.s3.example/a.jpg?X-Amz-Credential=REDACTED&X-Amz-Date=2026&X-Amz-Signature=REDACTED",
        ),
        ("https://b.example/a.jpg?X%2DAmz%2DSignature=ff", "https://b.example/a.jpg?X%2DAmz%2DSignature=REDACTED"),
        ("https://b.example/a.jpg?sv=2020&sig=a%2Bb%3D", "https://b.example/a.jpg?sv=2020&sig=REDACTED"),
        ("https://b.example/a.jpg?Key-Pair-Id=K&Policy=e", "https://b.example/a.jpg?Key-Pair-Id=REDACTED&Policy=REDACTED"),
        ("https://b.example/a.jpg?w=1&amp;api_key=k", "https://b.example/a.jpg?w=1&amp;api_key=REDACTED"),
        ("https://b.example/a.jpg#access_token=t", "https://b.example/a.jpg#access_token=REDACTED"),
        ("https://i.example/a.jpg?s=0123456789abcdef0123456789abcdef", "https://i.example/a.jpg?s=REDACTED"),
        ("https://i.example/hf_abcdefghijklmnopqrst/a.jpg", "https://i.example/REDACTED/a.jpg"),
        (
            "https://p.example/?url=https%3A%2F%2Fu%3Ap%40h.example%2Fa.jpg",
            "https://p.example/?url=https%3A%2F%2Fh.example%2Fa.jpg",
        ),
        ("HttpError: ftp://u:p@h/x and http://u:p@h/y", "HttpError: ftp://h/x and http://h/y"),
    ],
)  # fmt: skip
def test_secrets_are_left_out(address: str, written: str) -> None:
    assert without_secrets(address) == written


@pytest.mark.parametrize(
    "text",
    [
        "https://images.example/@ana/a.jpg?s=64&h=64&keyword=red&v=2",
        "https://images.example/a.jpg?url=https%3A%2F%2Fh.example%2Fa.jpg",
        "photos/a@2x.jpg",
        "photos/token=1.jpg",
        "rows.parquet#7",
        "https://images.example/a.jpg?token=",
    ],
)
def test_the_rest_stays_as_it_is(text: str) -> None:
    assert without_secrets(text) == text
