"""A copy of the project, in which one mutant at a time is built."""

import filecmp
import os
import shutil
import subprocess

# Without -g: then a mutant that means the same is the same object.
MAKE = ["make", "-s", "CC=gcc", "CFLAGS=-O2", "WARNINGS=-w"]
BUILD = os.path.join("build", "none-gcc")
CLEAN = os.path.join("build", "clean")  # programs without a mutant
PROGRAMS = ["timestampd", "bin/timestampc", "unit-tests", "integration-tests"]
BUILD_LIMIT_S = 900


class Broken(Exception):
    """The mutant does not compile."""


def environment():
    """Without what a make above passes on."""
    return {name: value for name, value in os.environ.items()
            if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}


def files(root):
    """The paths below root of all files but those that are built."""
    found = set()
    for folder, folders, names in os.walk(root):
        place = os.path.relpath(folder, root)
        if place == ".":
            folders[:] = set(folders) - {"build", ".git"}
        found |= {os.path.normpath(os.path.join(place, name))
                  for name in names}
    return found


class Tree:
    """What an earlier run has built there is used again."""

    def __init__(self, root, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        wanted = files(root)
        for name in files(folder) - wanted:
            os.unlink(self.path(name))
        for name in wanted:
            self.copy(os.path.join(root, name), self.path(name))
        self.build()
        for name in PROGRAMS:
            self.copy(self.path(BUILD, name), self.path(CLEAN, name))

    def copy(self, source, target):
        """Leaves what is the same as it is, so that make does."""
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target) or not filecmp.cmp(source, target,
                                                         shallow=False):
            shutil.copy(source, target)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def make(self, *targets):
        done = subprocess.run([*MAKE, *targets], cwd=self.folder, text=True,
                              stdout=subprocess.DEVNULL, check=False,
                              stderr=subprocess.PIPE, env=environment(),
                              timeout=BUILD_LIMIT_S)
        if done.returncode != 0:
            raise Broken(done.stderr)

    def build(self):
        self.make(*(os.path.join(BUILD, name) for name in PROGRAMS))

    def mutate(self, mutant):
        """Builds the programs with mutant; returns False if nothing changes."""
        name = os.path.join(BUILD, mutant.file[len("src/"):-2] + ".o")
        source, self.object = self.path(mutant.file), self.path(name)
        self.saved = self.path("build", "object")
        shutil.copy2(self.object, self.saved)
        with open(source, "w", encoding="utf-8") as file:
            file.write(mutant.source)
        self.make(name)
        with open(self.object, "rb") as new, open(self.saved, "rb") as old:
            if new.read() == old.read():
                return False
        self.build()
        return True

    def restore(self, mutant):
        with open(self.path(mutant.file), "w", encoding="utf-8") as file:
            file.write(mutant.original)
        # Newer than the source: make does not build it again.
        shutil.copyfile(self.saved, self.object)
        os.utime(self.object)
