# make demo    wavegate guards a real API server, before your eyes
# make test    every test; builds what it needs and says so
# make lint    formatting, lints, layering, licences
# make fmt     format
# make bench   what a decision costs, against a route that decides nothing, and what the image costs
# make book    the documentation as a website, in target/book
# make image   the container image as a tar, without a container engine

CARGO ?= cargo
CACHE := $(or $(WAVEGATE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/wavegate)
DENY := $(CACHE)/cargo-deny-0.20.2/bin/cargo-deny
MDBOOK := $(CACHE)/mdbook-0.5.4/bin/mdbook

.PHONY: demo test lint fmt bench book image control-plane docs tools

demo: control-plane
	$(CARGO) build --quiet --bin wavegate
	$(CARGO) run --quiet --example demo

# Both feature sets: the pure layers must build and work without the web stack.
# The end-to-end tests mostly wait for Kubernetes and Argo CD, so more of them run at once than there are cores.
test: tools control-plane
	$(CARGO) test --no-default-features --lib --test integration
	$(CARGO) test --lib --bins --examples --test integration --test server --test cluster --test chart --test databases
	@start=$$(date +%s); RUST_TEST_THREADS=6 $(CARGO) test --test e2e || exit; \
	  echo "end to end: $$(( $$(date +%s) - start )) s, of a budget of 1200 s on two cores"
	$(MAKE) image
	RUST_TEST_THREADS=4 $(CARGO) test --test node
	$(CARGO) test --test resilience -- --nocapture

lint: $(DENY) book
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) clippy --no-default-features --lib --bins --test integration -- -D warnings
	! $(CARGO) tree --edges normal,build --invert ring 2>/dev/null | grep .
	$(DENY) check bans licenses sources

$(DENY):
	@echo "building cargo-deny once, which takes about three minutes" >&2
	$(CARGO) install --quiet --locked --root $(CACHE)/cargo-deny-0.20.2 cargo-deny@0.20.2

book: $(MDBOOK)
	$(MDBOOK) build

$(MDBOOK):
	@echo "building mdbook once, which takes about three minutes" >&2
	$(CARGO) install --quiet --locked --no-default-features --root $(CACHE)/mdbook-0.5.4 mdbook@0.5.4

fmt:
	$(CARGO) fmt

bench:
	$(CARGO) bench

# What the last stage of the Dockerfile says, with a static program that is built here; takes minutes at first.
image:
	$(CARGO) run --quiet --example image

# Rewrites the pages that are generated from the rules.
docs:
	BLESS=1 $(CARGO) test --test integration generated

# What the tests run besides the control plane, as PROGRAM:PACKAGE of Debian: the shell and nc of one waiter's image,
# Argo CD's Redis, databases to wait for, a reader of container images, Prometheus for the alerts, and what a node needs
# beside the kubelet. redis-tools has Redis itself under the name redis-check-rdb; the service of prometheus is not started.
TOOLS := busybox:busybox-static redis-check-rdb:redis-tools skopeo:skopeo \
  postgres:postgresql-15 initdb:postgresql-15 mariadbd:mariadb-server-core mariadb:mariadb-client-core \
  pgbouncer:pgbouncer dnsmasq:dnsmasq-base prometheus:prometheus promtool:prometheus \
  runc:runc nft:nftables conntrack:conntrack host-local:containernetworking-plugins ip:iproute2 nsenter:util-linux

tools:
	@missing=; for pair in $(TOOLS); do \
	  PATH="$$PATH:/usr/sbin:/usr/lib/postgresql/15/bin:/usr/lib/cni" command -v "$${pair%%:*}" >/dev/null || \
	  missing="$$missing $${pair#*:}"; done; \
	[ -z "$$missing" ] || { \
	  echo "installing$$missing, which the tests run" >&2; \
	  tests/install.sh $$missing >&2; } || { \
	  echo "needed and not installed:$$missing: install them with your package manager" >&2; exit 1; }

# etcd, kube-apiserver, Argo CD and the rest, built once per version into a cache outside the repository.
control-plane:
	$(CARGO) run --quiet --example control-plane -- build
