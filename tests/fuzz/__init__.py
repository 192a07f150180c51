"""Every parser of bytes that others wrote, under bytes that nobody meant.

The law, for each target: any bytes give a value that is sound (`law.sound`) or an error of the kinds that the target names, and
nothing else. For those that read a venue's answer, a second law (`law.weaker`): a sample of the venue's in which one field lost its
value (dropped, null, empty, of a wrong type, no number) is refused, or says nothing that is safer than the sample itself.

    python -m tests.fuzz --seconds 60 [--target NAME] [--seed N]
    python -m tests.fuzz.coverage_guided --seconds 60 --target NAME     (wants atheris)
"""
