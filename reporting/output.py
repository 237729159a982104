"""What reaches a disk or a terminal: files that are whole or not there, and errors as one line."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# A name in a report may be anything that a file system takes, also what is no text; it is then shown escaped.
ODD = "backslashreplace"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, else remove it.

    Args:
        path: the final name. Its folder is made if missing. What is no file (``/dev/stdout``, a pipe) is written to
            as it stands.

    Yields:
        The path to write to, with the suffix of `path`.

    Raises:
        OSError: the file could not be written; the message names `path`, and an earlier file of that name is kept.
    """
    final = Path(os.path.realpath(path))  # through a link, not over it
    direct = final.exists() and not (final.is_file() or final.is_dir())
    temporary = final if direct else final.with_name(f".{os.getpid()}.part{final.suffix}")
    try:
        with suppress(FileExistsError):  # if by no folder, writing says so better
            final.parent.mkdir(parents=True)
        yield temporary
        if not direct:
            os.replace(temporary, final)
    except BrokenPipeError:
        raise
    except OSError as error:
        kept = "the earlier file is kept" if final.is_file() else "nothing was written"
        raise OSError(f"cannot write {path}: {error.strerror or error}; {kept}") from error
    finally:
        if not direct:
            with suppress(OSError):
                temporary.unlink()


def write_whole(path: Path, content: str) -> None:
    """Write a text file whole or not at all (OSError as in `whole_file`)."""
    with whole_file(path) as temporary:
        temporary.write_text(content, encoding="utf-8", errors=ODD)


def one_line(text: str) -> str:
    """Text without line ends and other control characters, which a folder's name may bring along."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)


def show(text: str) -> None:
    """Print to standard output, now.

    Raises:
        OSError: it takes no more; the message says so.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(f"cannot write to standard output: {error.strerror or error}") from error


def exit_code(program: str, work: Callable[[], int]) -> int:
    """Do the work of a command line.

    Args:
        program: its name, to begin errors with.
        work: does it and returns the exit code.

    Returns:
        What `work` returned; 2 after an error, which is one line on stderr; 141 where the reader of a pipe has seen
        enough (``| head``).
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors=ODD)
    try:
        code = work()
        show("")
        return code
    except BrokenPipeError:
        code = 128 + signal.SIGPIPE
    except (ValueError, OSError, KeyError) as error:
        message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        print(f"{program}: {one_line(message)}", file=sys.stderr)
        code = 2
    try:
        sys.stdout.flush()
    except OSError:  # what is still to be printed cannot be, and Python would complain of that at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
