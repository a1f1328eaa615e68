# "make help" lists the targets. Most of them need root on Debian, and install what they lack from there.
#
# How to read this file: "target: others ## text" is a target that first makes the others; "make help" prints its text.
# "@" keeps make from printing a command before it runs it, and "$$" is how a "$" for the shell is written here.

GO ?= go

# The first release in CHANGELOG.md, "## VERSION / DATE", is the version of everything. No clock of a board can be right that
# says less than its date.
VERSION := $(shell awk '$$3 == "/" { print $$2; exit }' CHANGELOG.md)
BUILT   := $(shell awk '$$3 == "/" { print $$4; exit }' CHANGELOG.md)

# Neither the Docker Engine nor a hello needs HTTP/2, which would be 0.6 MB of a small program.
TAGS  := nethttpomithttp2
BUILD := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -tags $(TAGS) \
	-ldflags '-s -w -X main.version=$(VERSION) -X main.built=$(BUILT)'

# Debian packages that tests and demo need: for virtual Pis, whole Debian machines and the race detector.
LAB_PACKAGES := gcc libc6-dev docker.io iproute2 iptables util-linux avahi-daemon avahi-utils dbus tcpdump \
	ca-certificates procps gpg systemd-container mmdebstrap dnsmasq-base qemu-user mtools dosfstools fdisk
# What builds our own packages.
DEB_PACKAGES := dpkg-dev debhelper
# What builds images of another CPU, without mounting them.
IMAGE_PACKAGES := mmdebstrap qemu-user-static binfmt-support arch-test mtools dosfstools e2fsprogs fdisk

# The package for machines like this one, which tests install.
DEB := dist/pi-agent_$(VERSION)_amd64.deb
# The package for 32-bit boards, and the image that is made of it to be tested beside the 64-bit one.
OLD_DEB   := $(CURDIR)/dist/pi-agent_$(VERSION)_armhf.deb
OLD_IMAGE := $(CURDIR)/dist/pi-agent_$(VERSION)_armhf.img

# Installs the missing ones of the Debian packages that follow it.
NEED := scripts/need

# Linters are tools of a module of their own, so that go.mod names only what the program is made of.
TOOL := $(GO) tool -modfile=test/tools/go.mod
# Runs tests, prints a line for each, and adds up what they cost.
RING := $(GO) run ./test/ring
# Where tests find the program and its package.
ON_ENGINES = PI_AGENT=$(CURDIR)/bin/pi-agent PI_AGENT_DEB=$(CURDIR)/$(DEB)
# Tests on engines mostly wait, so Go may start as many as it likes: the lab counts engines, and lets a test begin when the
# machine has room for it.
BESIDE := -parallel 100
# Tests outside test/ that start engines or play schedules, and would take ten times as long with the race detector.
SLOW_UNITS := ^(TestSim|TestSimBites|TestDockerConforms|TestSwarmOutlivesSummer|TestPowerCutDuringInit|TestEngineThatStops)$$

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##### See it and test it

.PHONY: demo
demo: deps bin/pi-agent ## watch three virtual Pis become a swarm, in 2 minutes (KEEP=1 leaves it up)
	PI_AGENT=$(CURDIR)/bin/pi-agent $(GO) run ./test/lab/demo

# Tests on engines leave the CPU idle most of the time, so linters and unit tests run beside them, with lower priority.
.PHONY: test
test: deps ## show in 10 minutes that all is well: linters, unit tests, the simulation, each promise on real engines
	@$(RING) begin
	@$(MAKE) --no-print-directory --jobs=2 test-first test-beside
	@$(RING) report -budget=12m
	@echo "make test: all passed."

.PHONY: test-rest
test-rest: deps ## run all tests that "make test" leaves out, in 20 minutes
	@$(RING) begin
	@$(MAKE) --no-print-directory deb
	@$(MAKE) --no-print-directory --jobs=2 test-others unit-rest
	@$(RING) report -budget=23m
	@echo "make test-rest: all passed."

.PHONY: test-all
test-all: test test-rest ## run all tests, as CI does

# Parts of the above.
.PHONY: test-first test-beside test-others
test-first: bin/pi-agent $(DEB)
	@$(ON_ENGINES) $(RING) run -name=first -only=test/ring/first.txt -- -count=1 -timeout 30m $(BESIDE) ./test/...

test-beside:
	@nice $(MAKE) --no-print-directory lint
	@nice $(MAKE) --no-print-directory unit
	@nice $(MAKE) --no-print-directory sim SEEDS=300 SIM='^TestSim$$$$'

test-others: bin/pi-agent
	@$(ON_ENGINES) $(RING) run -name=others -except=test/ring/first.txt -- -count=1 -timeout 45m $(BESIDE) ./test/...

.PHONY: unit
unit: deps ## run the unit tests with the race detector, and name what is skipped without root
	@$(RING) run -name=unit -- -race -skip '$(SLOW_UNITS)' -timeout 20m ./internal/... ./cmd/... ./packaging/... ./test/ring

.PHONY: unit-rest
unit-rest: ## run the slow unit tests: the engine interface on real engines, the simulation with broken rules
	@$(RING) run -name=conformance -- -count=1 -run '$(SLOW_UNITS)' -timeout 30m $(BESIDE) ./internal/swarm
	@SIM_SEEDS=60 nice $(RING) run -name=race -- -race -run '^TestSim$$' -timeout 30m ./internal/bootstrap
	@nice $(MAKE) --no-print-directory sim

# How many schedules of each scenario, from which seed on, and which tests. test-beside runs fewer.
SEEDS ?= 1500
FIRST ?=
SIM   ?= ^TestSim(Bites)?$$
.PHONY: sim
sim: ## play random schedules on simulated LANs in virtual time (SEEDS=1500 of them, from FIRST=1 on), see docs/simulation.md
	@mkdir -p bin
	$(GO) test -c -o bin/sim.test ./internal/bootstrap
	GOGC=800 SIM_FIRST=$(FIRST) SIM_SEEDS=$(SEEDS) bin/sim.test -test.run '$(SIM)'

FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## run every fuzz test for FUZZTIME=30s
	@for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package | grep ^Fuzz); do \
	    $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
	  done; \
	done

# The tests that wrote the rows of docs/repairs.md, as a regular expression: TestA|TestB|...
REPAIR_TESTS = $(shell grep -o '`Test[A-Za-z]*`' docs/repairs.md | tr -d '`' | sort -u | paste -sd '|')
.PHONY: repairs
repairs: deps bin/pi-agent ## write docs/repairs.md anew, from every fault on virtual Pis with real engines, in half an hour
	PI_AGENT=$(CURDIR)/bin/pi-agent PI_AGENT_REPAIRS=1 PI_AGENT_ROUNDS=20 $(GO) test -count=1 -timeout 60m -v $(BESIDE) \
	  -run "^($(REPAIR_TESTS))$$" ./test/e2e

.PHONY: e2e-page
e2e-page: deps bin/pi-agent ## test the page in a browser, in 6 minutes (needs nodejs 20 or newer with npm; installs chromium)
	@$(NEED) chromium fonts-dejavu-core
	cd test/page && npm ci --no-audit --no-fund
	$(GO) test -tags page -count=1 -timeout 5m -v -run '^TestClassroom$$' ./internal/page
	PI_AGENT=$(CURDIR)/bin/pi-agent $(GO) test -tags page -count=1 -timeout 2h -v -run '^TestPage$$' ./test/e2e

.PHONY: e2e-image
e2e-image: deps $(OLD_IMAGE) ## boot what "make image" made on emulated boards, and a 32-bit one, in half an hour to an hour
	@$(NEED) $(IMAGE_PACKAGES) qemu-system-arm device-tree-compiler openssh-client
	PI_AGENT_IMAGE=$(CURDIR)/dist/pi-agent_$(VERSION)_arm64.img PI_AGENT_IMAGE_ARMHF=$(OLD_IMAGE) \
	  $(GO) test -tags image -count=1 -timeout 90m -v ./test/image

.PHONY: bench
bench: deps bin/pi-agent deb ## measure speed, sizes, memory, CPU time and traffic, in 10 minutes (ONLY=unit: one part)
	PI_AGENT=$(CURDIR)/bin/pi-agent PI_AGENT_DEB=$(CURDIR)/dist/pi-agent_$(VERSION)_amd64.deb \
	  $(GO) run ./test/bench -only=$(ONLY)
ifeq ($(ONLY),)
	$(GO) test -run '^$$' -bench 'BenchmarkStatus|BenchmarkOverview' ./internal/bootstrap ./internal/swarm
endif

##### Check the source

.PHONY: lint
lint: ## check the source with gofmt, vet, staticcheck, errcheck and go mod tidy; then vuln and units
	@test -z "$$(gofmt -l .)" || { echo "gofmt wants:"; gofmt -l .; exit 1; }
	$(GO) vet -tags image,page ./...
	$(TOOL) staticcheck -tags image,page -checks all ./...
	$(TOOL) errcheck -tags page ./internal/... ./cmd/... ./packaging/...
	$(TOOL) errcheck -tags image,page -exclude test/errcheck-excludes.txt ./test/...
	$(GO) mod tidy -diff
	@$(MAKE) --no-print-directory vuln units

.PHONY: vuln
vuln: ## look for known vulnerabilities with govulncheck, where its database can be reached
	@scripts/check-vulnerabilities $(TOOL) govulncheck

.PHONY: units
units: ## have systemd check the service files, and that they give away few rights
	@$(NEED) systemd
	@scripts/check-units 21

##### Build it

.PHONY: build
build: ## build the program for arm64, arm (ARMv6 code, which ARMv7 runs as well) and amd64, in bin/
	GOOS=linux GOARCH=arm64 $(BUILD) -o bin/pi-agent-linux-arm64 ./cmd/pi-agent
	GOOS=linux GOARCH=arm GOARM=6 $(BUILD) -o bin/pi-agent-linux-arm ./cmd/pi-agent
	GOOS=linux GOARCH=amd64 $(BUILD) -o bin/pi-agent-linux-amd64 ./cmd/pi-agent

# The program as it is shipped, for this machine. Go knows by itself when there is nothing to do, so it is always asked.
.PHONY: bin/pi-agent
bin/pi-agent:
	$(BUILD) -o $@ ./cmd/pi-agent

.PHONY: deb
deb: build ## build the Debian packages for arm64, armhf and amd64 in dist/, and check them with lintian
	@$(NEED) $(DEB_PACKAGES) lintian
	packaging/build $(TAGS) arm64 armhf amd64
	lintian --fail-on error,warning dist/*.deb

.PHONY: $(DEB)
$(DEB): bin/pi-agent
	@$(NEED) $(DEB_PACKAGES)
	cp bin/pi-agent bin/pi-agent-linux-amd64
	packaging/build $(TAGS) amd64

.PHONY: image
image: deb ## build a card image for 64-bit Pis in dist/ with a fresh cluster key (KEY=... or KEY=none instead)
	@$(NEED) $(IMAGE_PACKAGES)
	KEY='$(KEY)' packaging/image/build $(VERSION)

$(OLD_DEB):
	$(MAKE) deb

$(OLD_IMAGE): $(OLD_DEB)
	@$(NEED) $(IMAGE_PACKAGES)
	KEY=none packaging/image/build $(VERSION) armhf

.PHONY: reproducible
reproducible: deb ## build the packages a second time elsewhere, and compare every byte
	@scripts/check-reproducible

.PHONY: deps
deps: ## install the Debian packages that tests and demo need
	@$(NEED) $(LAB_PACKAGES)
	@command -v docker >/dev/null || $(NEED) docker-cli

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
