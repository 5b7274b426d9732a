"""Tests of conf/completions."""

import os
import pty
import re
import select
import subprocess

from daemon import LIMIT_S, Failure, check

FOLDER = os.path.abspath(os.path.join(
    os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "conf",
    "completions"))
NAMES = "timestampd", "timestampc"
KINDS = {"tcp:", "udp:", "unix:", "unix-dgram:", "unix-seqpacket:"}
PROMPT = b"ready> "
# Answers as readline would have it: the line and its words, cut at colons.
ASK = r"""
. "$1/$2.bash"
COMP_LINE=$3 COMP_POINT=${#3} COMP_WORDBREAKS=$' \t\n:='
read -ra COMP_WORDS <<<"${3//:/ : }"
[[ $3 != *[[:space:]:] ]] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
"_$2" "$2" "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


def bash(line, folder):
    """The completions of line in a bash that stands in folder."""
    said = subprocess.run(["bash", "-c", ASK, "bash", FOLDER,
                           line.split()[0], line],
                          check=True, timeout=LIMIT_S, cwd=folder,
                          capture_output=True, text=True)
    check(not said.stderr, said.stderr)
    return set(said.stdout.split("\n")) - {""}


def options(name):
    """Those that -h of the program shows."""
    text = subprocess.run([os.environ[name.upper()], "-h"], check=True,
                          timeout=LIMIT_S, capture_output=True,
                          text=True).stdout
    found = {"-" + letter for letters in
             re.findall(r"(?<![\w-])-([A-Za-z0-9]+)\b", text)
             for letter in letters}
    found |= set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    check(len(found) > 10, name, "-h shows", found)
    return found


def zsh_options(name):
    """Those that the specifications of _arguments name."""
    with open(os.path.join(FOLDER, "_" + name), encoding="ascii") as file:
        text = file.read().split("_arguments", 1)[1]
    found = set()
    for spec in re.findall(r"^\t(.*?)\[", text, re.M):
        if "{" in spec:
            spec = spec.split("{")[1].split("}")[0]
        else:
            spec = spec.split(")")[-1]
        found |= set(spec.strip("'*").split(","))
    return found


def test_bash_completes_each_option(folder):
    for name in NAMES:
        found = bash(name + " -", folder)
        check(found == options(name), name, found ^ options(name))


def test_zsh_completes_each_option(_):
    for name in NAMES:
        check(zsh_options(name) == options(name), name,
              zsh_options(name) ^ options(name))


def test_bash_completes_arguments(folder):
    for name in "one.conf", "one.spool", "two":
        with open(os.path.join(folder, name), "w", encoding="ascii"):
            pass
    for line, wanted in (
            ("timestampd --conf", {"--config"}),
            ("timestampd -c o", {"one.conf", "one.spool"}),
            ("timestampd -d --config two", {"two"}),
            ("timestampd -l ", KINDS),
            ("timestampd -l unix-", {"unix-dgram:", "unix-seqpacket:"}),
            ("timestampd -l unix:tw", {"two"}),
            ("timestampd -l tcp:7000 --listen unix-dgram:one.c", {"one.conf"}),
            ("timestampd -l tcp:", set()),
            ("timestampc -S one.s", {"one.spool"}),
            ("timestampc -W ", set()),
            ("timestampc --max-", {"--max-loss", "--max-rtt", "--max-offset"}),
            ("timestampc unix-s", {"unix-seqpacket:"}),
            ("timestampc -P unix:o", {"one.conf", "one.spool"})):
        found = bash(line, folder)
        check(found == wanted, line, "gives", found)
    check(KINDS <= bash("timestampc ", folder), "no kinds")
    hosts = bash("timestampc local", folder)
    check(hosts == bash("timestampc udp:local", folder), hosts)


class Terminal:
    """A shell at a terminal."""

    def __init__(self, words, folder):
        environment = {"PATH": os.environ["PATH"], "TERM": "dumb",
                       "HOME": folder, "LC_ALL": "C"}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(words[0], words, environment)

    def write(self, text):
        os.write(self.fd, text.encode())

    def read_until(self, end):
        """Reads up to end."""
        text = b""
        while end not in text:
            if not select.select([self.fd], [], [], LIMIT_S)[0]:
                raise Failure(f"no {end} in {text}")
            text += os.read(self.fd, 4096)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def press_tab(terminal):
    """A unique start is completed, which no echo could do."""
    for typed, completed in (
            ("timestampd --conf\t", b"--config "),
            ("only\t", b"only.conf "),
            ("-l unix-d\t", b"unix-dgram:"),
            ("only\t", b"only.conf "),
            ("\x15timestampc --max-l\t", b"--max-loss "),
            ("5 unix-se\t", b"unix-seqpacket:"),
            ("only\t", b"only.conf")):
        terminal.write(typed)
        terminal.read_until(completed)
    terminal.write("\x15exit\n")


def test_bash_completes_at_a_terminal(folder):
    with open(os.path.join(folder, "only.conf"), "w", encoding="ascii"):
        pass
    with Terminal(["bash", "--norc", "--noprofile", "-i"], folder) as terminal:
        terminal.write("bind 'set enable-bracketed-paste off'; PS1='rea''dy> '"
                       f"; . {FOLDER}/timestampd.bash"
                       f"; . {FOLDER}/timestampc.bash\n")
        terminal.read_until(PROMPT)
        press_tab(terminal)


def test_zsh_completes_at_a_terminal(folder):
    with open(os.path.join(folder, "only.conf"), "w", encoding="ascii"):
        pass
    with Terminal(["zsh", "-f", "-i"], folder) as terminal:
        terminal.write(f"unsetopt zle_bracketed_paste; fpath=({FOLDER} $fpath)"
                       "; autoload -Uz compinit; compinit -u -D"
                       "; PS1='rea''dy> '\n")
        terminal.read_until(PROMPT)
        press_tab(terminal)


def test_zsh_reads_them(_):
    for name in NAMES:
        subprocess.run(["zsh", "-n", f"{FOLDER}/_{name}"], check=True,
                       timeout=LIMIT_S)
