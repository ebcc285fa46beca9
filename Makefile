# make run    sets everything up and runs the built-in community
# make test   sets everything up and runs all checks and tests (installs Debian packages where they are missing)
# make check  style and types only
# make lock   writes the lock files anew from pyproject.toml

VENV := .venv
BIN := $(VENV)/bin

# aioxmpp holds us to Python 3.11 and 3.12; the first interpreter that is one of them and has venv is taken.
FIND_PYTHON = for python in $(PYTHON) python3 python3.12 python3.11; do \
	if $$python -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; \
	then echo $$python; exit 0; fi; done; \
	echo "no Python 3.11 or 3.12 with venv found; name one with PYTHON=…" >&2; exit 1

.PHONY: run test check lock clean packages

run: $(VENV)/.installed
	$(BIN)/peerwatt run

# Three at once, whatever the machine has: most of the longer ones wait for agents, servers and clocks, and two
# at once keep less than one core busy.
test: packages check
	$(BIN)/python -m pytest --numprocesses 3

check: $(VENV)/.installed-dev
	$(BIN)/ruff check agents coordinator runtime tests
	$(BIN)/ruff format --check agents coordinator runtime tests
	$(BIN)/mypy

$(VENV)/.installed: pyproject.toml requirements.lock
	@python=$$($(FIND_PYTHON)) && $$python -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@touch $@

# The tests' other ends: real XMPP servers, a Docker engine, an image made without a registry, an MQTT broker.
# The XMPP servers are started by the tests: as services of the machine, which would take port 5222, they stay off.
DEBIAN_PACKAGES := prosody ejabberd openssl docker.io docker-compose debootstrap iptables mosquitto chromium
packages:
	@for program in prosody ejabberdctl openssl dockerd docker-compose debootstrap iptables mosquitto chromium; do \
		PATH=$$PATH:/usr/sbin:/sbin command -v $$program >/dev/null || missing=yes; done; \
	if [ -n "$$missing" ]; then \
		command -v apt-get >/dev/null || { echo "the tests need: $(DEBIAN_PACKAGES)" >&2; exit 1; }; \
		root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		[ ! -d /run/systemd/system ] || for server in prosody ejabberd; do \
			systemctl cat $$server >/dev/null 2>&1 || new="$$new $$server"; done; \
		[ -z "$$new" ] || $$root systemctl mask --runtime --quiet $$new; \
		$$root apt-get update -qq && \
		$$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN_PACKAGES); \
		installed=$$?; \
		[ -z "$$new" ] || { $$root systemctl unmask --runtime --quiet $$new; $$root systemctl disable --quiet $$new; }; \
		exit $$installed; \
	fi

lock:
	rm -rf .lock-venv && python=$$($(FIND_PYTHON)) && $$python -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet .
	.lock-venv/bin/python -m pip freeze --exclude peerwatt > requirements.lock
	.lock-venv/bin/python -m pip install --quiet '.[dev]'
	.lock-venv/bin/python -m pip freeze --all --exclude peerwatt --exclude pip > requirements-dev.lock
	rm -rf .lock-venv build

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
