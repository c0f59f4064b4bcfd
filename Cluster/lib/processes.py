"""Starting and ending processes: always by pid, never by name."""

import atexit
import os
import signal
import subprocess
import sys
import time

_owned = []


def start_owned(argv, log, env=None, last_signal=signal.SIGKILL):
    """Starts a process that must not outlive this one.

    It gets `last_signal` when this script ends; from the kernel when the script is killed
    (PR_SET_PDEATHSIG, which is about the starting thread, so start it from the main thread).
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as out:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", last_signal.name, "--", *map(str, argv)],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)
    _owned.append((process, last_signal))
    return process


def start_detached(argv, log):
    """Starts a process in a session of its own, to be stopped by a later command."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as out:
        return subprocess.Popen(
            [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True)


def end(process, sig=signal.SIGTERM, patience=20):
    """Signals a process of ours and waits; kills it when it takes longer than `patience` seconds.

    Returns True when it ended by itself.
    """
    if process.poll() is not None:
        return True
    process.send_signal(sig)
    try:
        process.wait(patience)
        return True
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(patience)
        return False


@atexit.register
def end_all():
    for process, last_signal in reversed(_owned):
        if process.poll() is None:
            process.send_signal(last_signal)
    for process, _ in _owned:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
    _owned.clear()


def exit_on_signals():
    """Turns SIGTERM, SIGINT and SIGHUP into an orderly exit, which ends what was started."""

    def leave(number, _frame):
        end_all()  # before temporary directories are removed beneath them
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, leave)


def command_line(pid):
    """The words of a running process's command line; empty when there is no such process."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
    except OSError:
        return []


def is_running(pid, data_dir):
    """Whether `pid` is still the server of `data_dir`, not another process that got its number."""
    words = command_line(pid)
    return any(
        word == "--data-dir" and words[i + 1: i + 2] == [str(data_dir)]
        for i, word in enumerate(words))


def cpu_seconds(pid):
    """User and system time that a process has used, in seconds (proc(5), /proc/PID/stat)."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until(what, condition, seconds, pause=0.05):
    """Polls `condition` until it is true; TimeoutError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(pause)
