"""How published data sets spell their subsets, and which one replaces a missing one."""

TRAIN, TEST, VALIDATION = ("train", "training"), ("test", "testing"), ("validation", "val")
SPELLINGS = (TRAIN, TEST, VALIDATION)
# THUMOS'14 is trained on its validation set, since its training set is trimmed; ActivityNet is
# tested on its validation set, since the test set's intervals are not public.
REPLACEMENTS = {
    "train": TRAIN + VALIDATION,
    "test": TEST + VALIDATION,
    "validation": VALIDATION + TEST,
}
NAMES = frozenset(name for names in SPELLINGS for name in names)


def spellings(subset: str) -> tuple[str, ...]:
    """Every spelling of the same subset, in lower case.

    >>> spellings("Testing")
    ('test', 'testing')
    """
    wanted = subset.lower()
    return next((names for names in SPELLINGS if wanted in names), (wanted,))


def candidates(subset: str) -> tuple[str, ...]:
    """Names to look for a subset under, the best first.

    >>> candidates("train")
    ('train', 'training', 'validation', 'val')
    """
    return REPLACEMENTS.get(subset, (subset.lower(),))
