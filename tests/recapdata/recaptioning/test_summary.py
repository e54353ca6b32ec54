"""What a person reads at the end of a run."""

from dataclasses import replace

import pytest

from recapdata.recaptioning.summary import RecaptionSummary, audit_options, duration, size
from recapdata.records import Provenance

DONE = RecaptionSummary(
    directory="birds",
    set_name="recap",
    provenance=Provenance(
        writer="model", model="me/model", revision="c0ffee", prompt="p", batch_size=8, dtype="float32"
    ),
    device="cpu",
    records=1000,
    captions=1000,
    failures=0,
    failures_by_type={},
    lacking=0,
    asked="all",
    where=None,
    among=1000,
    done=1000,
    done_failures=0,
    examples=("a dog",),
    seconds=60.0,
    caption_seconds=50.0,
    caption_bytes=100_000,
    largest_batch=None,
    command="recapdata recaption birds recap --captioner me/model",
)


def test_a_whole_run_leads_to_the_audit():
    text = DONE.text()
    assert "20.0 images/s over 50 s" in text
    assert "audits run birds --captions recap" in text
    assert "--retry-failed" not in text
    assert DONE.complete


def test_a_pilot_says_what_the_rest_would_take():
    pilot = replace(
        DONE, asked="pilot", captions=100, lacking=900, done=100, caption_seconds=5.0, caption_bytes=10_000
    )
    # 900 images at 20 a second; 100 bytes a caption.
    assert "the other 900 images would take about 45 s and 90.0 kB of disk" in pilot.text()
    assert "audits run birds --captions recap   # audits what is there, as a sample" in pilot.text()
    assert pilot.complete


def test_failures_are_named_and_make_it_incomplete():
    failed = replace(DONE, captions=998, failures=2, failures_by_type={"DamagedImage": 2})
    assert "2   DamagedImage 2" in failed.text()
    assert f"{DONE.command} --retry-failed" in failed.text()
    assert not failed.complete


def test_records_are_captions_failures_and_what_is_to_do():
    lacking = replace(DONE, captions=990, lacking=10)
    assert not lacking.complete
    assert f"{DONE.command}   # captions the rest and keeps these" in lacking.text()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.21, "0.2 s"),
        (45, "45 s"),
        (120, "2 min"),
        (5400, "1 h 30 min"),
        (7200, "2 h"),
        (259_200, "3.0 days"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(999, "999 bytes"), (1500, "1.5 kB"), (2.5e9, "2.5 GB"), (3e13, "30.0 TB")]
)
def test_sizes(count, text):
    assert size(count) == text


def test_a_captioner_without_a_model():
    provenance = Provenance(
        writer="model", captioner="brightness", model="brightness", revision="1", batch_size=8
    )
    assert "decoding     on cpu, batches of 8\n" in replace(DONE, provenance=provenance).text()
    assert "decoding     float32 on cpu, batches of 8\n" in DONE.text()


def test_the_next_audit_is_by_what_the_last_was():
    audit = {
        "evidence": ["annotations", "detector:me/detr", "ocr:rapidocr-3.4"],
        "clip": "embedded@sha256:0123",
    }
    options = audit_options(audit)
    assert options == ("--evidence", "annotations,detector:me/detr,ocr", "--clip", "embedded")
    assert (
        "--evidence annotations,detector:me/detr,ocr --clip embedded"
        in replace(DONE, audited_by=options).text()
    )
    assert audit_options(None) == ()
