# make help lists the targets. deb, demo and test need root on Debian, and install what they lack through apt.

GO         ?= go
# The version of everything is the first in the changelog.
VERSION    := $(shell sed -n '/^\#\# /{s///;s/ .*//p;q}' CHANGELOG.md)
# And its day the one before which no clock of a board can be right.
BUILT      := $(shell sed -n '/^\#\# /{s/.*\/ //p;q}' CHANGELOG.md)
# No HTTP/2: neither the Docker Engine nor a hello needs it, and it is 0.6 MB of a small binary.
TAGS       := nethttpomithttp2
BUILD      := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -tags $(TAGS) -ldflags '-s -w -X main.version=$(VERSION) -X main.built=$(BUILT)'
# The linters, which go.mod of the program knows nothing of.
TOOL       := $(GO) tool -modfile=test/tools/go.mod
# Runs tests with a line for each, and adds up what they cost.
RING       := $(GO) run ./test/ring
# Tests on engines wait for each other most of the time: how many run at once is not for the number of CPUs to say but for
# the lab, which counts engines.
BESIDE     := -parallel 100
# Tests beside those in test/ that have engines or play schedules, which the detector of races makes ten times slower.
ENGINES    := ^(TestSim|TestSimBites|TestDockerConforms|TestSwarmOutlivesSummer|TestPowerCutDuringInit|TestEngineThatStops)$$
# What virtual Pis, whole machines and the race detector need of Debian.
LAB_PACKAGES := gcc libc6-dev docker.io iproute2 iptables util-linux avahi-daemon avahi-utils dbus tcpdump \
	ca-certificates procps gpg systemd-container mmdebstrap dnsmasq-base qemu-user mtools dosfstools fdisk

# What packages are made and looked at with.
DEB_PACKAGES := dpkg-dev debhelper lintian

# What images are made with: a system for another CPU, without mounting anything.
IMAGE_PACKAGES := mmdebstrap qemu-user-static binfmt-support arch-test mtools dosfstools e2fsprogs fdisk

# Installs those of the Debian packages in its argument that are missing, when root.
install = if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	missing=""; for p in $(1); do dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi; fi

.PHONY: help build deb image reproducible demo test test-rest test-all test-first test-others unit unit-rest lint vuln units \
	repairs e2e-image e2e-page bench fuzz sim deps clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

build: ## static stripped binaries in bin/: arm64, arm (ARMv6 code, so that it runs on ARMv6 and ARMv7) and amd64
	GOOS=linux GOARCH=arm64 $(BUILD) -o bin/pi-agent-linux-arm64 ./cmd/pi-agent
	GOOS=linux GOARCH=arm GOARM=6 $(BUILD) -o bin/pi-agent-linux-arm ./cmd/pi-agent
	GOOS=linux GOARCH=amd64 $(BUILD) -o bin/pi-agent-linux-amd64 ./cmd/pi-agent

.PHONY: bin/pi-agent
bin/pi-agent: # as it is shipped, for this machine
	$(BUILD) -o $@ ./cmd/pi-agent

deb: build ## Debian packages for arm64, armhf and amd64 in dist/, which please lintian
	@$(call install,$(DEB_PACKAGES))
	packaging/build $(TAGS) arm64 armhf amd64
	lintian --fail-on error,warning dist/*.deb

# The package for machines like this one, as tests install it.
DEB := dist/pi-agent_$(VERSION)_amd64.deb
.PHONY: $(DEB)
$(DEB): bin/pi-agent
	@$(call install,$(filter-out lintian,$(DEB_PACKAGES)))
	cp bin/pi-agent bin/pi-agent-linux-amd64
	packaging/build $(TAGS) amd64

image: deb ## a card for 64-bit Pis in dist/, with a fresh cluster key (KEY=... takes that one, KEY=none leaves it out)
	@$(call install,$(IMAGE_PACKAGES))
	KEY='$(KEY)' packaging/image/build $(VERSION)

reproducible: deb ## the same packages once more, from a copy of the tree elsewhere, with nothing kept of the first time
	@elsewhere=$$(mktemp -d) && trap 'rm -rf "$$elsewhere"' EXIT && \
	sha256sum dist/*.deb | tee "$$elsewhere/before" && \
	git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$$elsewhere" && cd "$$elsewhere" && umask 077 && \
	TZ=Asia/Tokyo GOCACHE="$$elsewhere/cache" $(MAKE) --no-print-directory deb && sha256sum --check before

demo: deps bin/pi-agent ## three virtual Pis become a swarm before your eyes (KEEP=1 leaves it up)
	PI_AGENT=$(CURDIR)/bin/pi-agent $(GO) run ./test/lab/demo

# Three rings, see docs/development.md. Linters and unit tests need the CPU, which tests on engines leave idle most of the
# time: both at once, and engines first.
test: deps ## what shows that all is well, in 12 minutes: linters, unit tests, the simulation, each promise on real engines
	@$(RING) begin
	@$(MAKE) --no-print-directory --jobs=2 test-first test-beside
	@$(RING) report -budget=12m
	@echo "make test: all passed."

test-rest: deps ## what make test leaves out: all other tests on engines and machines, in 25 minutes
	@$(RING) begin
	@$(MAKE) --no-print-directory deb
	@$(MAKE) --no-print-directory --jobs=2 test-others unit-rest
	@$(RING) report -budget=23m
	@echo "make test-rest: all passed."

test-all: test test-rest ## everything that CI must see

.PHONY: test-beside
test-beside:
	@nice $(MAKE) --no-print-directory lint
	@nice $(MAKE) --no-print-directory unit
	@nice $(MAKE) --no-print-directory sim SEEDS=300 SIM='^TestSim$$$$'

ON_ENGINES = PI_AGENT=$(CURDIR)/bin/pi-agent PI_AGENT_DEB=$(CURDIR)/$(DEB)

test-first: bin/pi-agent $(DEB)
	@$(ON_ENGINES) $(RING) run -name=first -only=test/ring/first.txt -- -count=1 -timeout 30m $(BESIDE) ./test/...

test-others: bin/pi-agent
	@$(ON_ENGINES) $(RING) run -name=others -except=test/ring/first.txt -- -count=1 -timeout 45m $(BESIDE) ./test/...

unit: deps ## unit tests with the race detector; what is skipped without root is named
	@$(RING) run -name=unit -- -race -skip '$(ENGINES)' -timeout 20m ./internal/... ./cmd/... ./packaging/... ./test/ring

unit-rest: ## the engine interface on real engines, and the simulation once with the race detector and once with broken rules
	@$(RING) run -name=conformance -- -count=1 -run '$(ENGINES)' -timeout 30m $(BESIDE) ./internal/swarm
	@SIM_SEEDS=60 nice $(RING) run -name=race -- -race -run '^TestSim$$' -timeout 30m ./internal/bootstrap
	@nice $(MAKE) --no-print-directory sim

lint: ## gofmt, vet, staticcheck, errcheck, tidy go.mod, and units
	@test -z "$$(gofmt -l .)" || { echo "gofmt wants:"; gofmt -l .; exit 1; }
	$(GO) vet -tags image,page ./...
	$(TOOL) staticcheck -tags image,page -checks all ./...
	$(TOOL) errcheck -tags page ./internal/... ./cmd/... ./packaging/...
	$(TOOL) errcheck -tags image,page -exclude test/errcheck-excludes.txt ./test/...
	$(GO) mod tidy -diff
	@$(MAKE) --no-print-directory vuln units

# Highest score of systemd-analyze security that a service may have, in tenths: 0 is locked in, 100 is root with all rights.
EXPOSURE := 20

units: ## what systemd says of the services: that they are understood, and how little they may do
	@$(call install,systemd)
	@said=$$(systemd-analyze verify --man=no systemd/* 2>&1 | grep pi-agent | grep -v '/usr/bin/pi-agent is not executable'); \
	test -z "$$said" || { echo "$$said"; exit 1; }; \
	for unit in systemd/*.service; do \
	  said=$$(systemd-analyze security --offline=true --threshold=$(EXPOSURE) $$unit) || bad=1; echo "$$said" | tail -1; done; \
	test -z "$$bad"

vuln: ## govulncheck, where its database can be reached
	@out=$$($(TOOL) govulncheck ./... 2>&1); rc=$$?; \
	if echo "$$out" | grep -qE 'vuln.go.dev|no such host|fetching vulnerabilities'; then echo "note: govulncheck could not reach its database and checked nothing"; \
	else echo "$$out"; exit $$rc; fi

repairs: deps bin/pi-agent ## docs/repairs.md anew: every fault on virtual Pis with real engines, half an hour
	PI_AGENT=$(CURDIR)/bin/pi-agent PI_AGENT_REPAIRS=1 PI_AGENT_ROUNDS=20 $(GO) test -count=1 -timeout 60m -v $(BESIDE) \
	  -run "^($$(sed -n 's/.*| `\(Test[A-Za-z]*\)` |$$/\1/p' docs/repairs.md | sort -u | paste -sd'|'))$$" ./test/e2e

# The package of the oldest Pis with a CPU that Docker runs on, to be tried beside the others.
OLD := $(CURDIR)/dist/pi-agent_$(VERSION)_armhf
$(OLD).deb: ; $(MAKE) deb
$(OLD).img: $(OLD).deb
	@$(call install,$(IMAGE_PACKAGES))
	KEY=none packaging/image/build $(VERSION) armhf

e2e-image: deps $(OLD).img ## what make image has made, on emulated 64-bit boards and one of ARMv7: half an hour
	@$(call install,$(IMAGE_PACKAGES) qemu-system-arm device-tree-compiler openssh-client)
	PI_AGENT_IMAGE=$(CURDIR)/dist/pi-agent_$(VERSION)_arm64.img PI_AGENT_IMAGE_ARMHF=$(OLD).img \
	  $(GO) test -tags image -count=1 -timeout 90m -v ./test/image

e2e-page: deps bin/pi-agent ## the page in a browser, of a class and while a plug is pulled: five minutes, with chromium and nodejs 20 or newer
	@$(call install,chromium fonts-dejavu-core)
	cd test/page && npm ci --no-audit --no-fund
	$(GO) test -tags page -count=1 -timeout 5m -v -run '^TestClassroom$$' ./internal/page
	PI_AGENT=$(CURDIR)/bin/pi-agent $(GO) test -tags page -count=1 -timeout 2h -v -run '^TestPage$$' ./test/e2e

bench: deps bin/pi-agent deb ## times, sizes, memory, CPU time and traffic, with the ratios that matter (ONLY=unit: one part)
	PI_AGENT=$(CURDIR)/bin/pi-agent PI_AGENT_DEB=$(CURDIR)/dist/pi-agent_$(VERSION)_amd64.deb \
	  $(GO) run ./test/bench -only=$(ONLY)
	$(if $(ONLY),,$(GO) test -run '^$$' -bench 'BenchmarkStatus|BenchmarkOverview' ./internal/bootstrap ./internal/swarm)

sim: ## random schedules on simulated LANs, in virtual time (SEEDS=1500 of them, from FIRST=1 on), see docs/simulation.md
	@mkdir -p bin
	$(GO) test -c -o bin/sim.test ./internal/bootstrap
	GOGC=800 SIM_FIRST=$(FIRST) SIM_SEEDS=$${SEEDS:-1500} bin/sim.test -test.run '$(or $(SIM),^TestSim(Bites)?$$$$)'

fuzz: ## every fuzz target for FUZZTIME (default 30s)
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do \
	  $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-30s} $$p || exit 1; done; done

deps: ## install what tests and demo need, when root and when something is missing
	@$(call install,$(LAB_PACKAGES))
	@command -v docker >/dev/null || { $(call install,docker-cli); }

clean: ## remove what was built
	rm -rf bin dist
