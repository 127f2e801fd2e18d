# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# hmm_odp: what a person types. Everything that is built goes under build/.
#
# On any Debian 12 or 13 machine (root): demo, check, check-*, shell, bench.
# They set up a guest with its own kernel and never touch this machine's.
# On the machine that is to have the device: modules, provider, install.

KDIR ?= /lib/modules/$(shell uname -r)/build
ARGS ?=

GUEST := demo check check-full check-debug check-pyverbs check-clients check-interop check-mutants bench bench-compare
.PHONY: help host $(GUEST) shell lint guest guest-module guest-provider \
	modules provider install uninstall clean distclean

help:
	@echo 'In a guest (as root, Debian 12 or 13, sets up what it needs):'
	@echo '  make demo           see it work'
	@echo '  make check          lint, unit, contract and functional tests'
	@echo '  make check-full     all functional tests'
	@echo '  make check-debug    functional tests under KASAN, lockdep, ...'
	@echo '  make check-pyverbs  the tests of rdma-core'
	@echo '  make check-clients  programs of others: MPI, UCX, libfabric, ...'
	@echo '  make check-interop  two hosts, one of them rdma_rxe: bytes and programs'
	@echo '  make check-mutants  do the tests notice broken code?'
	@echo '  make bench          measure, beside rdma_rxe (20 minutes; BENCH=quick: 6)'
	@echo '  make bench-compare BASE=...  what got dearer since a revision or a result'
	@echo '  make shell          a shell in the guest (ARGS="--rxe --pmem 256M")'
	@echo '  make lint           style and static checks'
	@echo 'On this machine:'
	@echo '  make modules provider          build for the running kernel (KDIR=...)'
	@echo '  make install | make uninstall  put them into place, or away'
	@echo '  make clean | make distclean    drop what was built | and the guest'

# --- in the guest

# Programs in Python cannot install the Python that they run on.
host:
	@scripts/prepare host
$(GUEST): host

demo:
	demo/run $(ARGS)
check:
	tests/suite --set check $(ARGS)
check-full:
	tests/suite --set full $(ARGS)
check-debug:
	tests/suite --set debug --kernel debug $(ARGS)
check-pyverbs:
	tests/suite --set pyverbs $(ARGS)
check-clients:
	tests/suite --set clients $(ARGS)
check-interop:
	tests/suite --set interop $(ARGS)
check-mutants:
	tests/mutants/run $(ARGS)
bench:
	perf/bench/run $(ARGS)
bench-compare:
	perf/bench/compare '$(BASE)' $(ARGS)
shell:
	guest/run --interactive $(ARGS)

lint:
	tests/lint/run
guest:
	scripts/prepare initramfs
guest-module:
	scripts/prepare module
guest-provider:
	scripts/prepare provider

# --- on this machine

modules:
	KDIR='$(KDIR)' scripts/host modules
provider:
	scripts/host provider
install:
	KDIR='$(KDIR)' scripts/host install
uninstall:
	KDIR='$(KDIR)' scripts/host uninstall

clean:
	rm -rf build/module build/provider build/initramfs build/tests build/logs \
		build/mutants build/host build/run build/lint build/perf \
		build/profile build/siw build/bench/base
distclean:
	rm -rf build
