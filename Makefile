# make deps run     install missing packages, build, serve in the foreground
# make deps check   install missing packages, build, test
# All output goes to build/.

VERSION = 1.0

prefix ?= /usr/local
sysconfdir ?= /etc
sbindir ?= $(prefix)/sbin
bindir ?= $(prefix)/bin
datadir ?= $(prefix)/share
mandir ?= $(datadir)/man
docdir ?= $(datadir)/doc/timestampd
unitdir ?= $(prefix)/lib/systemd/system
bashcompdir ?= $(datadir)/bash-completion/completions
zshcompdir ?= $(datadir)/zsh/site-functions
DESTDIR ?=
INSTALL ?= install

CC = gcc
# none, asan (with UBSan), tsan, coverage, or fuzz for "make fuzz"
VARIANT ?= none
BUILD = build/$(VARIANT)-$(notdir $(CC))

# Names of Debian packages.
DEPS_BUILD = gcc make pkg-config libc6-dev libconfig-dev libsystemd-dev \
	libedit-dev libmicrohttpd-dev
DEPS_CHECK = check netcat-openbsd ncat socat telnet busybox python3 \
	iproute2 tzdata util-linux systemd strace faketime xinetd prometheus \
	haproxy nginx libnginx-mod-stream keepalived nftables mandoc zsh
DEPS_CI = clang clang-format clang-tidy cppcheck libclang-rt-14-dev \
	valgrind shellcheck
DEPS_BENCH = python3 util-linux iproute2 xinetd socat ncat memcached \
	redis-server moreutils netcat-openbsd sockperf irtt
DEPS_IMAGE = podman crun
DEPS_DISTROS = debootstrap git util-linux

PKG_CONFIG ?= pkg-config
PACKAGES = libconfig libsystemd
# Only for its header; see http/microhttpd.h.
LOADED = libmicrohttpd

# A time or a file's size has 64 bits on 32-bit processors too.
CPPFLAGS_ALL = -D_GNU_SOURCE -D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64 \
	-DVERSION='"$(VERSION)"' \
	-DSYSCONFDIR='"$(sysconfdir)"' -Isrc -Itests \
	$(shell $(PKG_CONFIG) --cflags $(PACKAGES) $(LOADED) 2>/dev/null) $(CPPFLAGS)
WARNINGS = -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wpointer-arith -Wundef \
	$(if $(WERROR),-Werror)
CFLAGS ?= -O2 -g
CFLAGS_ALL = -std=gnu17 -pthread -ffile-prefix-map=$(CURDIR)=. $(WARNINGS) $(HARDENING) $(SANITIZE) $(CFLAGS)
LDFLAGS_ALL = -pthread $(HARDENING_LD) $(SANITIZE) $(LDFLAGS)
LIBS = $(shell $(PKG_CONFIG) --libs $(PACKAGES))
CLIENT_LIBS = $(shell $(PKG_CONFIG) --libs libedit) -lm

supported = $(shell $(CC) -Werror $(1) -E -xc /dev/null >/dev/null 2>&1 && \
	echo $(1))
# gcc 12 takes an array whose address a sanitizer instruments for its first
# member; clang doesn't know the warning.
SANITIZER_QUIRKS = $(call supported,-Wno-stringop-overflow)

ifeq ($(VARIANT),none)
HARDENING = -fstack-protector-strong -fPIE -U_FORTIFY_SOURCE \
	-D_FORTIFY_SOURCE=3 $(call supported,-fcf-protection) \
	$(call supported,-fstack-clash-protection) \
	$(call supported,-ftrivial-auto-var-init=zero)
HARDENING_LD = -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack \
	-Wl,-z,separate-code
else ifeq ($(VARIANT),asan)
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer $(SANITIZER_QUIRKS)
else ifeq ($(VARIANT),tsan)
SANITIZE = -fsanitize=thread -fno-omit-frame-pointer $(SANITIZER_QUIRKS)
else ifeq ($(VARIANT),coverage)
SANITIZE = --coverage -fprofile-update=atomic
else ifeq ($(VARIANT),fuzz)
SANITIZE = -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all
else
$(error VARIANT is none, asan, tsan, coverage or fuzz)
endif

PROGRAM = $(BUILD)/timestampd
CLIENT = $(BUILD)/bin/timestampc
SRC = $(sort $(wildcard src/*.c src/*/*.c))
OBJECTS = $(SRC:src/%.c=$(BUILD)/%.o)
# The tests and fuzz targets link everything but the main functions.
MAINS = $(BUILD)/timestampd.o $(BUILD)/timestampc.o
ROOMS = $(filter-out $(MAINS),$(OBJECTS))
CLIENT_FLOORS = timestampc talk pipe ping lines
PROGRAM_OBJECTS = $(filter-out $(BUILD)/timestampc.o \
	$(CLIENT_FLOORS:%=$(BUILD)/%/%),$(OBJECTS))
# The client does without the floors between, and without the journal.
CLIENT_OBJECTS = $(BUILD)/timestampc.o $(filter-out \
	$(BUILD)/base/log.o $(BUILD)/base/sink.o, \
	$(filter $(patsubst %,$(BUILD)/%/%,$(CLIENT_FLOORS) stamp net base),\
		$(OBJECTS)))
UNIT = $(BUILD)/unit-tests
UNIT_OBJECTS = \
	$(patsubst tests/%.c,$(BUILD)/%.o,\
		$(sort $(wildcard tests/unit/*.c tests/unit/*/*.c)))
HARNESS_OBJECTS = \
	$(patsubst tests/%.c,$(BUILD)/%.o,$(sort $(wildcard tests/harness/*.c)))
INTEGRATION = $(BUILD)/integration-tests
INTEGRATION_OBJECTS = \
	$(patsubst tests/%.c,$(BUILD)/%.o,$(sort $(wildcard tests/integration/*.c)))
LOAD = $(BUILD)/bench/load
LOAD_OBJECTS = \
	$(patsubst tests/%.c,$(BUILD)/%.o,$(sort $(wildcard tests/bench/*.c)))
LIMITS = $(patsubst %,$(BUILD)/bench/limits/%,\
	echo visit datagram group stream)
SHIM = $(BUILD)/fault/shim.so
HOST_PROGRAMS = \
	$(patsubst tests/%.c,$(BUILD)/%,$(sort $(wildcard tests/hosts/*.c)))
# Each is tests/fuzz/fuzz_NAME.c with its inputs in tests/fuzz/corpus/NAME.
FUZZ_TARGETS = config spec stamp conn handover datagram unix_peer control \
	stamp_reader reply payload proxy_header
FUZZ_SECONDS ?= 60
FUZZ_CC ?= clang
REPLAYS = $(FUZZ_TARGETS:%=$(BUILD)/fuzz/replay-%)
CHECK_LIBS = $(shell $(PKG_CONFIG) --libs check)
SOURCES = $(wildcard src/*.[ch] src/*/*.[ch] tests/*/*.[ch] tests/*/*/*.[ch])

## all: build server and client; so does make without a target
all: $(PROGRAM) $(CLIENT)

$(PROGRAM): $(PROGRAM_OBJECTS)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

ifeq ($(VARIANT),tsan)
$(PROGRAM) $(UNIT): $(BUILD)/build/tsan.o
endif

$(CLIENT): $(CLIENT_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(CLIENT_LIBS)

# build/VARIANT-CC/flags changes with the flags: then everything is built again.
$(BUILD)/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: tests/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# For a parallel "make deps check": install the packages before compiling.
ifneq ($(filter deps deps-ci deps-bench,$(MAKECMDGOALS)),)
$(BUILD)/flags: | deps
endif

FLAGS = $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo "$(subst ",\",$(FLAGS))" | cmp -s - $@ || \
		echo "$(subst ",\",$(FLAGS))" >$@

-include $(patsubst %.o,%.d,$(OBJECTS) $(UNIT_OBJECTS) $(HARNESS_OBJECTS) \
	$(INTEGRATION_OBJECTS) $(LOAD_OBJECTS) $(LIMITS:=.o) \
	$(HOST_PROGRAMS:=.o) \
	$(patsubst tests/%.c,$(BUILD)/%.o,$(wildcard tests/fuzz/*.c)))

$(UNIT): $(UNIT_OBJECTS) $(HARNESS_OBJECTS) $(ROOMS)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) $(CLIENT_LIBS) \
		$(CHECK_LIBS)

$(INTEGRATION): $(INTEGRATION_OBJECTS) $(HARNESS_OBJECTS)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(CHECK_LIBS)

$(LOAD): $(LOAD_OBJECTS)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^

$(LIMITS): %: %.o $(BUILD)/bench/limits/loopback.o
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^

$(BUILD)/fuzz/replay-%: $(BUILD)/fuzz/fuzz_%.o $(BUILD)/fuzz/replay.o $(ROOMS)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) $(CLIENT_LIBS)

.SECONDARY: $(patsubst tests/%.c,$(BUILD)/%.o,$(wildcard tests/fuzz/*.c))

$(BUILD)/fuzz/%: $(BUILD)/fuzz/fuzz_%.o $(ROOMS)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(LIBS) \
		$(CLIENT_LIBS)

# All targets share the objects of one build; -j runs several at a time.
## fuzz: each fuzz target for FUZZ_SECONDS=60; fuzz-NAME: one of them
fuzz:
	$(MAKE) VARIANT=fuzz CC=$(FUZZ_CC) CFLAGS="-O1 -g" \
		$(FUZZ_TARGETS:%=fuzz-%)

# A failing input goes to the corpus, which "make check" replays.
$(FUZZ_TARGETS:%=fuzz-%): fuzz-%: $(BUILD)/fuzz/%
	@mkdir -p build/fuzz/corpus/$*
	@$< -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
		-artifact_prefix=tests/fuzz/corpus/$*/ \
		build/fuzz/corpus/$* tests/fuzz/corpus/$* \
		>build/fuzz/$*.log 2>&1 || { tail -n 60 build/fuzz/$*.log; exit 1; }
	@sed -n 's/^Done/fuzz $*:/p' build/fuzz/$*.log

# It is preloaded into the server, so it is built without the variant's flags.
$(SHIM): tests/fault/shim.c tests/fault/shim.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -std=gnu17 $(WARNINGS) $(CFLAGS) -fPIC -shared \
		-o $@ $<

## run: build, and serve in the foreground with the shipped settings
run: all
	$(PROGRAM) -d -c conf/timestampd.conf

# WRAPPER is a program to run the server and the unit tests under; SUITES=unit
# skips the integration tests.
SUITES ?= unit integration
# Suites at a time: most tests wait more than they compute.
JOBS ?= 4
## check: the tests, check-calls to check-systemd among them
check: all $(UNIT) $(INTEGRATION) $(REPLAYS)
	TIMESTAMPD_WRAPPER="$(WRAPPER)" \
		tests/harness/suites $(JOBS) $(WRAPPER) $(UNIT)
	for target in $(FUZZ_TARGETS); do \
		$(WRAPPER) $(BUILD)/fuzz/replay-$$target \
			tests/fuzz/corpus/$$target >$(BUILD)/fuzz/replayed || \
			{ tail -n 1 $(BUILD)/fuzz/replayed; exit 1; }; \
	done
	$(if $(filter integration,$(SUITES)),TIMESTAMPD=$(PROGRAM) \
		TIMESTAMPD_WRAPPER="$(WRAPPER)" \
		tests/harness/suites $(JOBS) $(INTEGRATION))
ifeq ($(VARIANT)$(WRAPPER),none)
	$(MAKE) check-hardening check-package check-calls check-tools \
		check-manual check-client check-metrics check-fault \
		check-hosts check-examples check-readme check-systemd
endif

# For packages: without root, namespaces and the programs of other tests.
## check-unit: the unit tests alone
check-unit: $(UNIT)
	$(WRAPPER) $(UNIT)

## check-calls: the system calls of the tests pass the filter of the unit
check-calls: all $(INTEGRATION)
	PROGRAM=$(PROGRAM) TESTS=$(INTEGRATION) JOBS=$(JOBS) tests/build/calls

## check-hardening: the hardening flags have taken effect
check-hardening: all
	CC="$(CC)" CFLAGS="$(CFLAGS_ALL)" \
		tests/build/hardening $(PROGRAM) $(PROGRAM_OBJECTS)
	CC="$(CC)" CFLAGS="$(CFLAGS_ALL)" \
		tests/build/hardening $(CLIENT) $(CLIENT_OBJECTS)

## check-manual: pages, shipped file and programs agree; MANUAL=NAME: some
MANUAL ?=
check-manual: all
	TIMESTAMPD=$(PROGRAM) TIMESTAMPC=$(CLIENT) tests/build/manual $(MANUAL)

## check-fault: system calls that fail, no memory; FAULT=-f: in every way
check-fault: all $(SHIM)
	TIMESTAMPD=$(PROGRAM) FAULT_SHIM=$(SHIM) PYTHONDONTWRITEBYTECODE=1 \
		tests/fault/run $(FAULT)

# The hosts are network namespaces that each test makes.
## check-hosts: server and clients on different hosts; HOSTS=NAME: some
HOSTS ?=
check-hosts: all $(HOST_PROGRAMS)
	TIMESTAMPD=$(PROGRAM) TIMESTAMPC=$(CLIENT) \
		HOSTS_PROGRAMS=$(BUILD)/hosts PYTHONDONTWRITEBYTECODE=1 \
		tests/hosts/run $(HOSTS)

$(HOST_PROGRAMS): %: %.o
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^

## check-client: timestampc; CLIENT_TESTS=NAME: some; FEWER=N: fewer lines
CLIENT_TESTS ?=
FEWER ?= $(if $(filter none,$(VARIANT)),1,10)
check-client: all
	TIMESTAMPD=$(PROGRAM) TIMESTAMPC=$(CLIENT) CLIENT_FEWER=$(FEWER) \
		PYTHONDONTWRITEBYTECODE=1 tests/client/run $(CLIENT_TESTS)

## check-readme: the commands of README.md print what it shows
check-readme: all
	TIMESTAMPD=$(PROGRAM) TIMESTAMPC=$(CLIENT) tests/readme/run

## check-examples: the smallest clients in C, Python and bash
check-examples: all
	TIMESTAMPD=$(PROGRAM) PYTHONDONTWRITEBYTECODE=1 CC="$(CC)" \
		tests/examples/run

PODMAN ?= podman
IMAGE = localhost/timestampd
IMAGE_ROOT = $(BUILD)/image
# Of the two formats that podman writes, OCI's has no place for a health check.
## image: the container image localhost/timestampd, by podman
image: all | $(filter deps-image,$(MAKECMDGOALS))
	rm -rf $(IMAGE_ROOT)
	$(INSTALL) -s -D -m 755 $(PROGRAM) $(IMAGE_ROOT)/usr/sbin/timestampd
	$(INSTALL) -s -D -m 755 $(CLIENT) $(IMAGE_ROOT)/usr/bin/timestampc
	CC="$(CC)" container/collect $(IMAGE_ROOT) \
		$$(sed -n 's/^#define LIBRARY "\(.*\)"$$/\1/p' src/http/microhttpd.c)
	$(PODMAN) build --format docker --isolation chroot \
		-f container/Containerfile -t $(IMAGE):$(VERSION) -t $(IMAGE) \
		$(IMAGE_ROOT)

## check-image: the image in containers; root
check-image: all | $(filter deps-image,$(MAKECMDGOALS))
	tests/image/run

## check-metrics: what a real Prometheus scrapes; METRICS=NAME: some
METRICS ?=
check-metrics: all
	TIMESTAMPD=$(PROGRAM) PYTHONDONTWRITEBYTECODE=1 \
		tests/metrics/run $(METRICS)

## check-tools: what the tests are made with
check-tools:
	PYTHONDONTWRITEBYTECODE=1 tests/build/tools

## soak: clients of all kinds, SOAK=600 seconds; nothing may grow
SOAK ?= 600
soak: all
	TIMESTAMPD=$(PROGRAM) PYTHONDONTWRITEBYTECODE=1 tests/soak/run $(SOAK)

# It runs in namespaces of its own: a make in them cannot reach the named pipe of
# this job server (make 4.4), and would wait.
## check-systemd: the real service under a real systemd
check-systemd: all $(BUILD)/systemd/probe
	MAKEFLAGS= PROBE=$(BUILD)/systemd/probe tests/systemd/run

$(BUILD)/systemd/probe: $(BUILD)/systemd/probe.o
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^

## check-sizes: src/ keeps its limits on files, functions and folders
check-sizes:
	tests/build/sizes

## check-asan: check, under AddressSanitizer and UBSan; also with CC=clang
check-asan:
	$(MAKE) VARIANT=asan check

# ThreadSanitizer's memory map needs address randomisation to be off.
## check-tsan: check, under ThreadSanitizer; also with CC=clang
check-tsan:
	TSAN_OPTIONS=halt_on_error=1 setarch -R $(MAKE) VARIANT=tsan check

VALGRIND = valgrind -q --error-exitcode=99 --leak-check=full \
	--errors-for-leak-kinds=definite,possible --fair-sched=yes \
	--suppressions=$(CURDIR)/tests/fuzz/memcheck.supp
## check-valgrind: check, under memcheck
check-valgrind:
	$(MAKE) WRAPPER="$(VALGRIND)" check

## check-distros: make deps check in new roots of Debian; DISTROS=NAME
DISTROS ?= bookworm trixie
check-distros: | $(filter deps-distros,$(MAKECMDGOALS))
	tests/build/distros $(DISTROS)

# From the tarball of "make dist", in new root folders, into build/deb/CODENAME.
## deb: build Debian packages in new roots; DISTROS=NAME; root
deb: dist | $(filter deps-distros,$(MAKECMDGOALS))
	for codename in $(DISTROS); do \
		rm -rf build/deb/$$codename && \
		mkdir -p build/deb/$$codename && \
		cp $(TARBALL) build/deb/$$codename || exit 1; \
	done
	tests/build/distros -c tests/package/build -x build/deb $(DISTROS)

# tests/package/check has what is checked; debian/tests runs under a real systemd.
## check-deb: install, upgrade under load, remove and purge them; root
check-deb: deb
	tests/build/distros -c tests/package/check -x build/deb $(DISTROS)

## check-package: versions, lists of files, completions of the shells
check-package: all
	TIMESTAMPD=$(PROGRAM) TIMESTAMPC=$(CLIENT) PYTHONDONTWRITEBYTECODE=1 \
		tests/package/run

## check-reproducible: builds in two folders give the same bytes
check-reproducible:
	rm -rf build/one build/two
	mkdir -p build/one build/two
	cp -r Makefile src build/one
	cp -r Makefile src build/two
	$(MAKE) -C build/one all
	$(MAKE) -C build/two all
	cmp build/one/$(PROGRAM) build/two/$(PROGRAM)
	cmp build/one/$(CLIENT) build/two/$(CLIENT)

## bench-programs: build what bench needs
bench-programs: $(LOAD) $(LIMITS)

# One core for the server, one for the load.
## bench: beside other servers and clients: tests/bench/README.md
ROUNDS ?= 5
SECONDS ?= 0.4
ONLY ?=
BASELINE ?= compare
BUDGET ?= 300
SERVER_CPU ?= 0
LOAD_CPU ?= 1
bench: all bench-programs
	tests/bench/bench.py --server $(PROGRAM) --client $(CLIENT) \
		--programs $(BUILD)/bench \
		--output build/bench --rounds $(ROUNDS) --seconds $(SECONDS) \
		--server-cpu $(SERVER_CPU) --load-cpu $(LOAD_CPU) \
		--budget $(BUDGET) --only "$(ONLY)" $(if $(PLOT),--plot) \
		--baseline $(BASELINE) $(if $(BASE),--base "$(BASE)")

## bench-baseline: keep the ratios, with which make bench compares later ones
bench-baseline:
	$(MAKE) BASELINE=write bench

# Small changes to src/ that a test should notice: tests/mutants/README.md.  ONLY
# chooses by FILE:LINE: KIND.
## mutants: what no test notices; MUTANTS=100, SEED=1
MUTANTS ?= 100
SEED ?= 1
mutants:
	tests/mutants/run --count $(MUTANTS) --seed $(SEED) --only "$(ONLY)"

## coverage: which lines of src/ the tests run
coverage:
	rm -rf build/coverage-gcc
	$(MAKE) CC=gcc VARIANT=coverage CFLAGS="-O0 -g" check
	@cd build/coverage-gcc && gcov -n -r -s ../.. *.gcda */*.gcda 2>/dev/null | \
	awk -F"[ ':%]+" '/^File/ { file = $$2 } \
		/^Lines/ && file ~ /^src\/.*c$$/ { \
			lines += $$5; hit += $$3 * $$5 / 100; \
			printf "%-24s %6s %% of %4s\n", file, $$3, $$5; \
			file = "" } \
		END { printf "%-24s %6.2f %% of %4d\n", "all", \
			100 * hit / lines, lines }'

## check-analyzer: the static analysis of gcc
check-analyzer:
	@set -e; $(foreach room,$(SRC:src/%.c=%), \
		echo "-fanalyzer src/$(room).c"; \
		gcc $(CPPFLAGS_ALL) -std=gnu17 -O2 -Werror -fanalyzer \
			-c -o /dev/null src/$(room).c;)

# cppcheck does not know sys/queue.h and would report reads in its loops.
## lint: static analysis; the form of sources, pages and scripts
lint: check-analyzer
	clang-format --dry-run -Werror $(SOURCES)
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr \
		--enable=warning,performance,portability \
		--suppress=missingIncludeSystem --suppress=uninitvar \
		--suppress=ctuuninitvar --suppress=legacyUninitvar \
		-D_GNU_SOURCE \
		"-DTAILQ_FOREACH(var,head,field)=while((var))" \
		-DSYSCONFDIR='""' -DVERSION='""' -Isrc src tests
	clang-tidy --quiet $(filter %.c,$(SOURCES)) -- \
		-std=gnu17 $(CPPFLAGS_ALL) 2>/dev/null
	tests/build/floors
	tests/build/sizes
	tests/build/help
	mandoc -T lint -W warning man/timestampc.1 man/timestampd.8 man/timestampd.conf.5
	shellcheck .ci/run container/collect tests/install-packages \
		$(addprefix tests/build/,calls distros floors hardening help sizes) \
		$(wildcard tests/examples/*.sh) \
		$(addprefix tests/systemd/,boot run inside) \
		$(addprefix tests/package/,build check reader) \
		$(wildcard conf/completions/*.bash) \
		$(filter-out %/control,$(wildcard debian/tests/*)) debian/timestampd.prerm

## format: bring the C sources into form
format:
	clang-format -i $(SOURCES)

## deps: install missing Debian packages; deps run: fewer of them
deps:
	@tests/install-packages $(DEPS_BUILD) \
		$(if $(filter run,$(MAKECMDGOALS)),,$(DEPS_CHECK))

## deps-ci: install what lint, fuzz, clang and memcheck need too
deps-ci: deps
	@tests/install-packages $(DEPS_CI)

## deps-bench: install what bench needs too
deps-bench: deps
	@tests/install-packages $(DEPS_BENCH)

## deps-distros: install what check-distros needs
deps-distros:
	@tests/install-packages $(DEPS_DISTROS)

## deps-image: install what image and check-image need
deps-image:
	@tests/install-packages $(DEPS_IMAGE)

# What other programs read, and what stands in front of several servers.
EXAMPLES = $(filter %.json %.yml,$(wildcard conf/*)) $(wildcard conf/examples/*)

# An existing configuration belongs to the administrator: do not overwrite it.
## install: install below prefix, /usr/local, and DESTDIR
install: all
	$(INSTALL) -D -m 755 $(PROGRAM) "$(DESTDIR)$(sbindir)/timestampd"
	$(INSTALL) -D -m 755 $(CLIENT) "$(DESTDIR)$(bindir)/timestampc"
	$(INSTALL) -D -m 644 man/timestampc.1 "$(DESTDIR)$(mandir)/man1/timestampc.1"
	$(INSTALL) -D -m 644 man/timestampd.8 "$(DESTDIR)$(mandir)/man8/timestampd.8"
	$(INSTALL) -D -m 644 man/timestampd.conf.5 \
		"$(DESTDIR)$(mandir)/man5/timestampd.conf.5"
	$(INSTALL) -d "$(DESTDIR)$(unitdir)"
	sed 's|/usr/local/sbin|$(sbindir)|' systemd/timestampd.service \
		>"$(DESTDIR)$(unitdir)/timestampd.service"
	$(INSTALL) -m 644 systemd/timestampd.socket \
		systemd/timestampd-http.socket "$(DESTDIR)$(unitdir)"
	$(INSTALL) -D -m 644 systemd/sealed.conf \
		"$(DESTDIR)$(datadir)/timestampd/sealed.conf"
	for program in timestampd timestampc; do \
		$(INSTALL) -D -m 644 conf/completions/$$program.bash \
			"$(DESTDIR)$(bashcompdir)/$$program" && \
		$(INSTALL) -D -m 644 -t "$(DESTDIR)$(zshcompdir)" \
			conf/completions/_$$program || exit 1; \
	done
	$(INSTALL) -D -m 644 -t "$(DESTDIR)$(docdir)/examples" $(EXAMPLES)
	test -e "$(DESTDIR)$(sysconfdir)/timestampd.conf" || \
		$(INSTALL) -D -m 644 conf/timestampd.conf \
			"$(DESTDIR)$(sysconfdir)/timestampd.conf"

## uninstall: remove it, but a configuration that was changed
uninstall:
	rm -f "$(DESTDIR)$(sbindir)/timestampd" \
		"$(DESTDIR)$(bindir)/timestampc" \
		"$(DESTDIR)$(mandir)/man1/timestampc.1" \
		"$(DESTDIR)$(mandir)/man8/timestampd.8" \
		"$(DESTDIR)$(mandir)/man5/timestampd.conf.5" \
		"$(DESTDIR)$(unitdir)/timestampd.service" \
		"$(DESTDIR)$(unitdir)/timestampd.socket" \
		"$(DESTDIR)$(unitdir)/timestampd-http.socket" \
		"$(DESTDIR)$(datadir)/timestampd/sealed.conf" \
		"$(DESTDIR)$(bashcompdir)/timestampd" \
		"$(DESTDIR)$(bashcompdir)/timestampc" \
		"$(DESTDIR)$(zshcompdir)/_timestampd" \
		"$(DESTDIR)$(zshcompdir)/_timestampc" \
		$(patsubst %,"$(DESTDIR)$(docdir)/examples/%",$(notdir $(EXAMPLES)))
	rmdir "$(DESTDIR)$(datadir)/timestampd" "$(DESTDIR)$(docdir)/examples" \
		"$(DESTDIR)$(docdir)" 2>/dev/null || true
	! cmp -s conf/timestampd.conf "$(DESTDIR)$(sysconfdir)/timestampd.conf" || \
		rm -f "$(DESTDIR)$(sysconfdir)/timestampd.conf"

# The same bytes each time.
## dist: build/timestampd-VERSION.tar.gz of the last commit
TARBALL = build/timestampd-$(VERSION).tar.gz
dist:
	@mkdir -p build
	git -c tar.umask=0022 archive --prefix=timestampd-$(VERSION)/ HEAD | \
		gzip -9n >$(TARBALL)

## clean: remove build/
clean:
	rm -rf build

# From the lines of this file that begin with "##".
## help: list the targets
help:
	@echo "make [VARIABLE=VALUE]... [TARGET]..."
	@sed -n 's/^## \([a-z-]*\): /\1\t/p' Makefile | expand -t 20
	@echo "Variables: VARIANT=none|asan|tsan|coverage CC=gcc|clang WERROR=1"

FORCE:
.PHONY: all run check check-analyzer check-calls check-client check-fault check-hardening
.PHONY: check-systemd check-asan check-tsan check-valgrind check-reproducible
.PHONY: check-distros check-examples check-hosts check-manual check-metrics
.PHONY: check-sizes check-image check-readme deps-distros deps-image help image
.PHONY: check-deb check-package check-unit deb
.PHONY: coverage fuzz $(FUZZ_TARGETS:%=fuzz-%) soak lint format bench bench-programs
.PHONY: bench-baseline mutants check-tools
.PHONY: deps deps-ci deps-bench install uninstall dist clean FORCE
