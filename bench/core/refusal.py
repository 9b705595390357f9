"""What the disk refused, in one line that says what to do."""

from __future__ import annotations

import errno
import os

PERMISSION = "change its permissions, or name another place (--out for results)"
IN_THE_WAY = "move what is in the way, or name another place (--out for results)"
FULL = "all rows finished so far are stored: free some space and run the same command again"
TIPS = {
    errno.EACCES: PERMISSION,
    errno.EPERM: PERMISSION,
    errno.EROFS: PERMISSION,
    errno.EEXIST: IN_THE_WAY,
    errno.ENOTDIR: IN_THE_WAY,
    errno.EISDIR: IN_THE_WAY,
    errno.ENAMETOOLONG: "choose a shorter name (--out for results)",
    errno.ELOOP: "its links lead in a circle; name another place",
    errno.ENOENT: "check the path",
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EMFILE: "close other programs, or raise the limit of open files (ulimit -n)",
}


def refusal(error: OSError) -> str:
    """`cannot use results/x: Permission denied; change its permissions, or …`."""
    place = next((os.fsdecode(name) for name in (error.filename2, error.filename) if isinstance(name, str | bytes)), "")
    tip = TIPS.get(error.errno or 0, "run with -v to see where")
    return " ".join(f"cannot use {place or 'the disk'}: {error.strerror or error}; {tip}".split())
