"""Tests of debian/, CHANGELOG.md and what make installs."""

import fnmatch
import glob
import os
import re
import subprocess

from daemon import LIMIT_S, check

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                   os.pardir, os.pardir))
PROGRAMS = {name: os.path.abspath(os.environ[name.upper()])
            for name in ("timestampd", "timestampc")}
LAYOUT = ("prefix=/usr", "zshcompdir=/usr/share/zsh/vendor-completions")


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as file:
        return file.read()


def make(*words):
    """With the variables of the make that tests, or it would build all again;
    without its job server, which only a make of its own can use."""
    flags = " ".join(flag for flag in os.environ.get("MAKEFLAGS", "").split(" ")
                     if not flag.startswith(("-j", "--jobserver")))
    subprocess.run(["make", "-s", "-C", TOP, *words], check=True,
                   env=os.environ | {"MAKEFLAGS": flags},
                   timeout=10 * LIMIT_S, stdout=subprocess.DEVNULL)


def files(folder):
    """The files below folder, as absolute paths in it."""
    return {os.path.join("/", os.path.relpath(os.path.join(path, name), folder))
            for path, _, names in os.walk(folder) for name in names}


def lists():
    """{package: the lines of its list of files}."""
    return {package: read("debian", package + ".install").replace(
                "${env:UNITDIR}", "usr/lib/systemd/system").split()
            for package in PROGRAMS}


def test_versions_agree(_):
    version = re.search(r"^VERSION = (\S+)$", read("Makefile"), re.M)[1]
    package = re.match(r"(\S+) \((\S+)\) \S+; urgency=",
                       read("debian", "changelog"))
    check(package, "debian/changelog has another form")
    check(package[1] == "timestampd", package[1])
    check(package[2] == version, "debian/changelog:", package[2])
    releases = re.findall(r"^## \[(\S+)\]", read("CHANGELOG.md"), re.M)
    check(releases[:2] == ["Unreleased", version], "CHANGELOG.md:", releases)
    for name, program in PROGRAMS.items():
        said = subprocess.run([program, "-V"], check=True, timeout=LIMIT_S,
                              capture_output=True, text=True).stdout
        check(said == f"{name} {version}\n", said)


def test_changelog_has_its_form(_):
    """That of keepachangelog.com: dates, and these headings alone."""
    headings = re.findall(r"^#+ .*$", read("CHANGELOG.md"), re.M)
    check(headings[:2] == ["# Changelog", "## [Unreleased]"], headings[:2])
    for heading in headings[2:]:
        check(re.match(r"## \[\d+(\.\d+)+\] - \d{4}-\d\d-\d\d$|"
                       r"### (Added|Changed|Deprecated|Removed|Fixed|"
                       r"Security)$", heading), heading)


def test_each_installed_file_is_in_one_package(folder):
    make("install", "DESTDIR=" + folder, *LAYOUT)
    installed, packaged = files(folder), lists()
    for file in installed:
        owners = [package for package, globs in packaged.items()
                  if any(fnmatch.fnmatch(file, os.path.join("/", pattern)) or
                         file.startswith(os.path.join("/", pattern, ""))
                         for pattern in globs)]
        check(len(owners) == 1, file, "is in", owners)
    for pattern in sum(packaged.values(), []):
        check(glob.glob(os.path.join(folder, pattern)), pattern, "is nothing")


def test_uninstall_leaves_nothing(folder):
    make("install", "DESTDIR=" + folder, *LAYOUT)
    check(len(files(folder)) > 10, files(folder))
    make("uninstall", "DESTDIR=" + folder, *LAYOUT)
    check(not files(folder), files(folder))


def test_build_dependencies_are_those_of_make(_):
    """But for those that each build in Debian has."""
    wanted = re.search(r"^DEPS_BUILD = ((?:.*\\\n)*.*)$", read("Makefile"),
                       re.M)[1].replace("\\\n", " ").split()
    control = re.search(r"^Build-Depends: ((?:.*\n )*.*)$",
                        read("debian", "control"), re.M)[1]
    named = {re.split(r"[ (]", name.strip())[0]
             for name in control.split(",") if "<!nocheck>" not in name}
    always = {"gcc", "make", "libc6-dev", "debhelper-compat"}
    wanted = {name.replace("pkg-config", "pkgconf") for name in wanted}
    check(named - always == wanted - always, named)
