# make help lists the targets. Needs Rust (rustup.rs), a C compiler and OpenSSL's headers; what is missing is installed
# through apt as root, else the one command is printed.

.DEFAULT_GOAL := help
CARGO ?= cargo

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

toolchain: ## check the toolchain and system packages, install what is missing
	@services/install toolchain

demo: toolchain ## the whole way in one process, from MQTT devices to downsampled rows
	$(CARGO) build --quiet
	$(CARGO) run --quiet -- demo

services: toolchain ## install what the tests need: Kafka, Mosquitto clients, Python and Node clients
	@services/install tests

test: services ## every test, against real services
	$(CARGO) test

lint: toolchain ## formatting, clippy, documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --quiet -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --no-deps --document-private-items --quiet

bench: toolchain ## the figures of benches/README.md (builds with optimisation: half an hour the first time)
	$(CARGO) bench --profile fast

.PHONY: help toolchain demo services test lint bench
