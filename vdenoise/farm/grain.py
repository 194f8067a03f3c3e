"""The film grain of a job: from the segments' frames, as a single pass fits it."""

from __future__ import annotations

from vdenoise.engine.run import Progress
from vdenoise.engine.streams import Shots
from vdenoise.farm.job import Job
from vdenoise.farm.planfile import AnalysisRecord
from vdenoise.farm.segments import files_of, frames_of
from vdenoise.filmgrain.table import GrainTable
from vdenoise.media.reader import Reader


def fit_grain(
    job: Job, analysis: AnalysisRecord, share: float, progress: Progress, threads: int | None
) -> GrainTable:
    """Compare source and segments, which must all be there.

    Args:
        job: the job.
        analysis: of it.
        share: of the grain that a decoder is to draw.
        progress: told of every frame.
        threads: decoder threads, None for one per core.

    Raises:
        InputError: the source cannot be read.
        ConflictError: the source is another one.
    """
    file, numbers = job.file, range(len(job.file.segments))
    wanted = [frame for number in numbers for frame in file.wanted(number)]
    made = frames_of((f for n in numbers for f in files_of(job, n, file.clean)), threads)
    shots = Shots(job.info.frames or 0, analysis.cuts)
    encode = file.clean.encode
    table = GrainTable(job.info, encode.pixel_format, encode.written, seed=file.seed, share=share)
    (first, last), chosen = file.frames, frozenset(wanted)
    progress.start("grain", len(wanted))
    deinterlace = file.interlaced == "deinterlace"
    with Reader(
        job.info, first=first, last=last, threads=threads, deinterlace=deinterlace
    ) as reader:
        for source in reader:
            if source.index in chosen:
                table.push(source, next(made).planes, shots.of(source.index))
                progress.advance({})
    return table
