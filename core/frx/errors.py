"""What can go wrong, each kind with the exit code the command line ends with.

A message is one sentence for the person at the keyboard: it names the file, key or image, and the
way out. Several mistakes of one recipe are several lines of one message.
"""


class FrxError(Exception):
    """Something the user can mend; `str(error)` is what the command line prints."""

    exit_code = 1


class RecipeError(FrxError):
    """A recipe, an option or the choice of a plugin is wrong."""

    exit_code = 2


class DataError(FrxError):
    """An image, a data set, a weights file or a checkpoint cannot be used."""

    exit_code = 3


class DivergedError(FrxError):
    """A loss, a gradient or a weight stopped being a finite number."""

    exit_code = 4


# What a DivergedError ends with.
REMEDY = "a lower learning rate or clip_norm = 1 often helps"


class ResourceError(FrxError):
    """Memory, disk or a file system gave out."""

    exit_code = 5


class BusyError(FrxError):
    """Another process works in the same run folder."""

    exit_code = 6
