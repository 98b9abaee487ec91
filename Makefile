# Two commands do everything: `make run` and `make test`. What they are made of is in scripts/, one thing each.
.DEFAULT_GOAL := help
.PHONY: help run test setup start build check bench slurm-demo slurm-demo-stop lock clean

help: ## show these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## set up what is missing, build the page if there is none, start the portal at http://127.0.0.1:8080
	@scripts/setup run
	@scripts/build --if-missing
	@exec scripts/start

test: ## set up what is missing, then check, build and run all tests; ends with one line that counts them
	@scripts/setup test || { echo; echo '0 passed, 1 failed (the set-up)'; exit 1; }
	@scripts/test all

setup: ## only set up: Debian packages, virtual environment, npm packages
	@scripts/setup run

start: ## only start the portal; installs and builds nothing
	@exec scripts/start

build: ## only build the page, from what set-up brought
	@scripts/build all

check: ## style, types, floors of the house, generated documents
	@scripts/check

bench: ## measure, side by side with peers (see docs/performance.md)
	@scripts/bench

slurm-demo: ## a real Slurm cluster of two nodes on this machine and Madang on it, at http://127.0.0.1:8090 (root)
	@scripts/slurm-demo start

slurm-demo-stop: ## end that demo and remove all of it, without a trace
	@scripts/slurm-demo stop

lock: ## write requirements/*.lock anew from pyproject.toml
	@scripts/lock

clean: ## remove everything that set-up and build made here; Debian packages and people's data stay
	rm -rf .venv .cache web/node_modules src/madang/page
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
