"""The rows of one classifier, explained and scored."""

from __future__ import annotations

from bench.core.device import device_name
from bench.paper.measured import MeasuredRows, keep_images, statistics
from bench.run.carry_out import carry_out
from bench.run.provenance import provenance
from bench.run.request import Request
from bench.run.timing import stored_timings
from bench.tables.content import Cell


def measure(request: Request) -> MeasuredRows:
    """Compute what is not stored yet, and the statistics of all of it; T is the median of the timing pass with its
    quartiles."""
    finished = carry_out(request)
    keep_images(finished.images, request.out)
    scores = finished.rows
    why = {
        label: f"{outcome.status}: {outcome.reason}" for label, outcome in finished.outcomes.items() if outcome.reason
    }
    labels = sorted(set(scores.method))
    cells, differences = statistics(scores, labels, request.metrics, request.seed)
    timings = stored_timings(request, finished.store, [s for s in request.sources if s.label in labels])
    for row in timings[timings.batch == 1].itertuples() if request.timing else ():
        cells[row.method, "T"] = Cell(row.seconds, row.seconds_low, row.seconds_high, row.images)
    facts = tuple(
        f"{request.classifier.name}: {key} {value}" for key, value in provenance(request, finished.images).items()
    )
    elsewhere = timings[timings.device != device_name(request.classifier.device)] if request.timing else timings[:0]
    facts += tuple(
        f"{request.classifier.name}: T of {', '.join(sorted(set(part.method)))} measured on {device}"
        for device, part in elsewhere.groupby("device")
    )
    return MeasuredRows(cells, differences, why, len(finished.images.ids), facts, finished.failed)
