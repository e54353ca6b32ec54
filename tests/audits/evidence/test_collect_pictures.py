"""Evidence of pictures that are decoded already: each source asked once a picture, the next one given what it saw."""

from PIL import Image

from audits.evidence import Evidence, Observation, Record, Scope
from audits.evidence.collect import collect_pictures

RED = Image.new("RGB", (8, 8), (200, 0, 0))


class Source:
    """Sees one object a picture, of the class that it is named; counts what it is asked."""

    columns = ("image",)

    def __init__(self, name):
        self.name = name
        self.asked = []

    def identity(self, shard):
        return f"{self.name}+v1"

    def collect(self, records):
        self.asked += [(record.key, record.picture, len(record.evidence)) for record in records]
        return [
            Evidence(
                source=self.name, scope=Scope(), objects=(Observation(category=self.name),), width=8, height=8
            )
            for _ in records
        ]


class Kept:
    """A cache that has what was put into it."""

    def __init__(self):
        self.rows = {}

    def get(self, source, record):
        return self.rows.get((source.name, record.key))

    def put(self, source, record, evidence):
        self.rows[source.name, record.key] = (evidence,)


def test_sources_in_order_each_asked_once_a_picture():
    first, second, kept = Source("first"), Source("second"), Kept()
    records = [Record(key=key, values={}, picture=RED) for key in ("a", "b")]
    found = collect_pictures([first, second], records, kept)
    assert [[each.source for each in evidence] for evidence in found] == [["first", "second"]] * 2
    assert first.asked == [("a", RED, 0), ("b", RED, 0)]
    assert second.asked == [("a", RED, 1), ("b", RED, 1)]
    again = collect_pictures([first, second], [*records, Record(key="c", values={}, picture=RED)], kept)
    assert again[:2] == found
    assert [key for key, _, _ in first.asked] == ["a", "b", "c"]


def test_without_a_cache_all_are_looked_at():
    source = Source("first")
    records = [Record(key="a", values={}, picture=RED)] * 2
    collect_pictures([source], records)
    collect_pictures([source], records)
    assert len(source.asked) == 4
