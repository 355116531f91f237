"""Starts a container's program as an OCI runtime does; run as root, inside a bubblewrap sandbox.

    runtime.py UID CAPABILITY,… PROGRAM ARGUMENT…

Like runc for a user who is not root, it makes the container's capabilities bounding, permitted and effective while it
changes the user, none of them inheritable or ambient, then executes the program. The program keeps those that its file
has. bubblewrap mounts everything `nosuid`, which makes the kernel ignore file capabilities; container engines do not,
so /usr/local is remounted first. `no_new_privs`, which bubblewrap sets, stays.
"""

import ctypes
import os
import sys

MS_RDONLY, MS_NODEV, MS_REMOUNT, MS_BIND = 1, 4, 32, 4096
PR_SET_KEEPCAPS, PR_CAPBSET_DROP = 8, 24
CAPABILITY_VERSION_3 = 0x20080522
NUMBERS = {
    "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8,
    "NET_BIND_SERVICE": 10, "NET_RAW": 13, "SYS_CHROOT": 18, "MKNOD": 27, "AUDIT_WRITE": 29, "SETFCAP": 31,
}  # fmt: skip
EXECUTABLES = b"/usr/local"

_libc = ctypes.CDLL(None, use_errno=True)


def _call(function: str, *arguments: object) -> None:
    if getattr(_libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def _set_capabilities(bits: int) -> None:
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(bits & 0xFFFFFFFF, bits & 0xFFFFFFFF, 0, 0, 0, 0)  # effective, permitted, inheritable
    _call("capset", header, sets)


def become(uid: int, capabilities: list[str]) -> None:
    """Change to the user, and drop all capabilities but these."""
    _call("mount", None, EXECUTABLES, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV, None)
    kept = {NUMBERS[name] for name in capabilities}
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        last = int(file.read())
    for number in set(range(last + 1)) - kept:
        _call("prctl", PR_CAPBSET_DROP, number, 0, 0, 0)
    _call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _set_capabilities(sum(1 << number for number in kept))


if __name__ == "__main__":
    user, names, *program = sys.argv[1:]
    become(int(user), [name for name in names.split(",") if name])
    os.execv(program[0], program)
